"""The SOAP wire language: X-Road Message Protocol 4.0 with WS-Security signatures."""
