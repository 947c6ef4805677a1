"""One file for each kind of operation; every file holds a PROCEDURE."""
