"""Data sets: sources verified by content, splits and batch order, all seeded."""
