"""Several hubs on one database, with broker and workers, on one machine: to see each die."""
