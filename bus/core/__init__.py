"""Pure decisions: the nouns, the stages one file each, log entries and the Merkle tree."""
