"""A zoo: many checkpoints on one panel, measured on one machine or on Slurm."""
