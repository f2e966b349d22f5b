"""What is measured: panels, protocols, data; plain data that imports nothing of capspace."""
