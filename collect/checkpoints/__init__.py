"""A checkpoint is resolved to its identity, loaded, and checked before anything is measured."""
