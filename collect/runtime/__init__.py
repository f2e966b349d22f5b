"""Services that every process needs: signals, logs, redaction, progress, distributed runs."""
