"""The peers, each a script that does one job in a process of its own."""
