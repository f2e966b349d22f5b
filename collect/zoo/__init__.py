"""A zoo: many checkpoints on one panel, on one machine or on Slurm, and the law they follow."""
