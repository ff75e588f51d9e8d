"""The nation on one machine: authority, simulated agencies, synthetic people."""
