"""What tasks of pictures share: settings, examples, models, memory and work, and how they train."""
