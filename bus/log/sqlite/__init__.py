"""Keep the entries of a log in SQLite."""
