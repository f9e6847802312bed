"""Programs that stand where a trainer would, and do one thing that trainers do to their parents."""
