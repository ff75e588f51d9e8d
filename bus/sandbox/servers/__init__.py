"""Private servers of others on loopback: for demos, measurements and tests."""
