"""The report of a study, and the comparison of several: one page each, which needs no network to be read."""
