"""Loading and running exported files in a fresh process, and comparing their outputs."""
