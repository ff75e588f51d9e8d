"""Pure translation between bytes and messages, one package for each wire language."""
