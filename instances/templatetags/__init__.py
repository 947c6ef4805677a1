"""Template tags of the operator's desk."""
