"""A study in TensorBoard: what is written for it from finished runs, and the server that shows it."""
