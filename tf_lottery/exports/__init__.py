"""From a trained ticket to files that serve."""
