"""Watching what time, hosts and dockmgr itself do; nothing here depends on beat."""
