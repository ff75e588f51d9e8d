"""The agencies: one folder each with manifest.yaml, adapter.py, samples/ and README.md."""
