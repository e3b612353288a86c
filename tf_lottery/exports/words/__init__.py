"""What an export is told with: rows, words, the report."""
