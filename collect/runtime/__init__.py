"""Every process needs these: signals, logs, redaction, progress and its fellow processes."""
