"""Tell operators how a hub is: before the start, and while it runs."""
