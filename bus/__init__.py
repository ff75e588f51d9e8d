"""Liên Thông: a hub of signed XML/SOAP envelopes between agencies."""

__version__ = "0.1.0"
