"""Published studies are reproduced on their own data."""
