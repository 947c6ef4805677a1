"""What monitors ask the web process: is dockmgr ready, and its numbers."""
