"""The HTTP API under /api/v1: it reads the database and hands work to the workers, never to Docker."""
