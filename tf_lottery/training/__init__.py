"""One training: the compiled loop and what stands beside it. Knows nothing of rounds."""
