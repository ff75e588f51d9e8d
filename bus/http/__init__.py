"""HTTP as server and as client, bounded in size and time."""
