"""What ``bench_engine`` measures: its models, its requests, and how one call is measured."""
