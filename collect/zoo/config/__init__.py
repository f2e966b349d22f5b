"""A zoo.yaml is read, validated, and expanded to the checkpoints that it names."""
