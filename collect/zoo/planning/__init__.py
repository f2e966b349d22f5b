"""A plan says what a zoo has to measure, and about how long that takes."""
