"""Pruning arithmetic in pure NumPy: which weights are pruned, and exactly how many."""
