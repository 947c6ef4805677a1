"""HTTP towards the outside."""
