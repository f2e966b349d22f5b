"""What a model is loaded from, and what is checked of it before anything is measured."""
