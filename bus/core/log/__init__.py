"""The message log as values: leaves, tree, tiles, checkpoint, receipts."""
