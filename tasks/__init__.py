"""Thin Celery tasks: a policy, a public name, one call into the domain."""
