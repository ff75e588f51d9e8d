"""Check and repeat the decisions of the past from entries alone."""
