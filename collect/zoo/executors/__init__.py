"""An executor runs a zoo's work units, on this machine's devices or on Slurm."""
