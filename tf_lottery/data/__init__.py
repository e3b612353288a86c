"""Data sets from verified sources, with seeded splits and batch orders."""
