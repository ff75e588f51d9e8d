"""Give agencies that cannot be called what lies at the hub for them, and senders their receipts."""
