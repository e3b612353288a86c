"""Functions that build networks. Hyperparameters live in `configs/`."""
