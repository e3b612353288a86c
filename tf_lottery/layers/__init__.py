"""Prunable layers and models: the only code in which a mask is applied to a kernel."""
