"""Studies and their runs on disk: written atomically, verified when read. Imports no TensorFlow."""
