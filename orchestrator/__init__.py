"""The laptop: checks, packages, launches, watches, and sees to it that nothing goes on costing."""
