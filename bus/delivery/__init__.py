"""Carry queries to agencies through their adapters."""
