"""Studies and their runs on disk: written whole, verified when read. No TensorFlow."""
