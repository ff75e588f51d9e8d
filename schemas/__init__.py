"""XML schemas and service descriptions, by standard and version."""
