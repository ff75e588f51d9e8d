"""Carry exchanges through: decide, record, deliver, record, answer."""
