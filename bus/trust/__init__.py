"""Keys, certificates, and what is known of their revocation."""
