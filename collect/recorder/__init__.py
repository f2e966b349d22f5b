"""Every answer is on disk before more are requested."""
