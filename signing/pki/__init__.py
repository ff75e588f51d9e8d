"""Keys, certificates, their revocation, and timestamps."""
