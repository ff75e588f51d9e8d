"""Capture valid messages of foreign stacks; run by hand, never by a test."""
