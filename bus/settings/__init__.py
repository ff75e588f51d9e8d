"""Read settings files whole: every mistake at once, each with its path and line."""
