"""The score table, the one contract between gathering scores and fitting, and its readers."""
