"""Every response is on disk before more are requested."""
