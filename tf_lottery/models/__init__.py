"""Builders of networks. Hyperparameters live in `configs/`."""
