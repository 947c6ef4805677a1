"""Living with a database that may be cut off, and writing many rows at once."""
