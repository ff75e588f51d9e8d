"""XML signatures, WS-Security, certificates and trust. Imports nothing of the hub."""
