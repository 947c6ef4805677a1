"""Talking to the broker: messages, answers, counters, lengths of queues."""
