"""All that the author of an adapter may import."""
