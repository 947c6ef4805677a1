"""Whether an instance is healthy: pure rules."""
