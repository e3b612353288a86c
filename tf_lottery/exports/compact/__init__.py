"""Removing the dead units of a network."""
