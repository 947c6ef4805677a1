"""Who may ask over HTTP, and who did what."""
