"""Each module prints one table of ``bench_decide``, by a function ``print_table``."""
