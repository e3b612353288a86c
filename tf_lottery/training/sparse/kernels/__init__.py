"""Functions that numba compiles. They take flat arrays in the batch-last layout, and read surviving weights.

Numba is imported by them, and they are imported when a network is first trained by the sparse engine.
"""
