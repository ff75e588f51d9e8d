"""Where messages and questions come in over HTTP, one module each."""
