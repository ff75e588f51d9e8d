"""Ask a hub as its senders and its operators do."""
