"""The algorithm, pure: what a run is, which run comes next, which tickets match. No TensorFlow, no files."""
