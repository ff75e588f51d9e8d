"""Keep the message log: group commit, publishing, sealing, timestamps."""
