"""What the sparse engine computes for each kind of layer."""
