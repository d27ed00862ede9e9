"""What the benchmarks have in common: servers, the machine, rows, figures, and the command line."""
