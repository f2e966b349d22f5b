"""What a model would score on targets that nobody has measured, and where it is placed."""
