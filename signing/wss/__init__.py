"""WS-Security signatures of XML messages: make them, verify them."""
