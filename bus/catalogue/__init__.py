"""Describe what services there are: WSDL, lists of clients, X-Road's metaservices."""
