"""Which k and which p: candidates of a study's settings, trained on a budget, and what they came to."""
