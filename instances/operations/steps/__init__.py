"""What the steps of several procedures have in common."""
