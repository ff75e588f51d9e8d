"""Check every stored byte of a log that lies in one folder of SQLite."""
