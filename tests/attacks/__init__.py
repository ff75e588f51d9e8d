"""Attacks on the hub: valid messages of foreign stacks, and everything that can be done to them."""
