"""Work units of a zoo are measured by workers, each with a child process of its own."""
