"""Exported files are loaded and run in a fresh process, and their answers compared."""
