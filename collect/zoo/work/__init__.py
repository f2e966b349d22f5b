"""Work units of a zoo, and the processes that measure them."""
