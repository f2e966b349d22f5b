"""Where a zoo's work runs: this machine's devices, or Slurm."""
