"""Pruning arithmetic in pure NumPy: which weights go, exactly how many."""
