"""How pages write times: always in UTC, in the order that sorts."""
