"""Only this room uses lm-eval's evaluation: tasks, prompts, data and metrics."""
