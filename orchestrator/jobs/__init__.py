"""Jobs: their records, how they are launched, watched, and cleaned up after."""
