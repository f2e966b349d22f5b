"""What a zoo.yaml says."""
