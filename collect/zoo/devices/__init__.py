"""The devices of a machine, and which work unit gets which of them."""
