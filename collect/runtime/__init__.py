"""What a process needs whatever it does: signals, logs, redaction, progress, other processes."""
