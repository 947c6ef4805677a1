"""The exit codes of commands: done and good, done and bad, a wrong request, something needed is away."""

GOOD, BAD, WRONG, OUT_OF_REACH = 0, 1, 2, 3
INTERRUPTED = 130
