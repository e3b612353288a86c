"""The method: what is trained next (`plan`), and training it (`execute`)."""
