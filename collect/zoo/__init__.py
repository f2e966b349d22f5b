"""A zoo is many checkpoints on one panel, measured on one machine or on Slurm."""
