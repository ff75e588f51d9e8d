"""Decide by the rules of one deployment, in this process or in one beside it."""
