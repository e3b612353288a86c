"""The pure algorithm: what a run is, which runs come next, which tickets match. No TensorFlow, no files."""
