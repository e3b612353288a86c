"""Records -> tables, pictures, words."""
