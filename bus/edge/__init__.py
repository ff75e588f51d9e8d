"""One module for each outside thing that the hub talks to."""
