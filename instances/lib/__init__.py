"""What everything may use: no framework, no state."""
