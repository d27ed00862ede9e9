"""`scripts/bench flight`: millions of rows to a client, by Flight SQL and by PostgreSQL's COPY."""
