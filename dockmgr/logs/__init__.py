"""The form of log lines."""
