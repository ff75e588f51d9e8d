"""Verify a message log without its operator, and look into it."""
