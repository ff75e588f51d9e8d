"""What every program needs of its process: clock, threads, memory, diagnostics."""
