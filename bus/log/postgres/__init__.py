"""Keep a log's entries and what is open beside them in PostgreSQL, for one hub or several."""
