"""Verify and read a log whose entries lie in PostgreSQL."""
