"""Change the code that proves signatures one small way at a time: some test must object."""
