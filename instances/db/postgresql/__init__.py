"""Django's backend for PostgreSQL, on connections that do not wait for ever."""
