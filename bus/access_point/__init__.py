"""The program that signs for an agency's systems which cannot: door, exchange, store."""
