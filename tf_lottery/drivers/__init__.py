"""Who trains a study's runs, and the one loop that drives them."""
