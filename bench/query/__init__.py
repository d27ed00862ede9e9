"""`scripts/bench query`: twelve questions about bars, to marketlake, DuckDB and PostgreSQL, side by side."""
