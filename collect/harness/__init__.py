"""The only room that knows lm-eval's evaluation: tasks, prompts, data, metrics."""
