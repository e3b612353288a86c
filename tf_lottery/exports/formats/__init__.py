"""The formats that a network is exported in."""
