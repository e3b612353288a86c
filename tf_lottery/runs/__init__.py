"""One run: started, trained, measured, kept."""
