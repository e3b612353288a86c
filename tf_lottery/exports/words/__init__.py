"""The report of an export: its rows, its sentences, its table."""
