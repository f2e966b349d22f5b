"""lm-eval's evaluation is known to this room alone: tasks, prompts, data and metrics."""
