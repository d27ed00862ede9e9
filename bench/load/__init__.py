"""`scripts/bench load`: files of JSON into a table, by marketlake and by its peers, side by side."""
