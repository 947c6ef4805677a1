"""Telling people: what changed in incidents becomes messages, and messages are delivered."""
