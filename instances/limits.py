"""How long an operation may take, and how often its steps are tried again. Seconds."""

from instances.lib.backoff import Retry

CHANGE_SECONDS = 3000

# Each step of an operation. About 2, 6 and 18 s apart: an engine that restarts is back within that.
STEP = Retry(tries=4, first=2.0, factor=3.0, longest=30.0, spread=0.2)

# Where somebody has had too many requests and does not say when to come again. What is said counts
# up to `longest`.
LATER = Retry(tries=4, first=60.0, factor=2.0, longest=900.0)

# One try of a step: a few calls of an engine, each bounded by itself; and one that may pull an image.
STEP_SECONDS = 600.0
PULL_SECONDS = 1500.0

# What a single call of an engine may take: a change as a rule, and the longest, a layer that is unpacked in
# silence, or files of an image that are copied into a new volume.
CHANGE_CALL = 60.0
LONGEST_CALL = 300.0

# The longest a process may take from one watch to the next: who shows no sign of life for a minute is told to
# be gone, and who follows an engine is deaf to it after 15.
LONGEST_WATCH = 10.0


def longest_call(stop_timeout: float) -> float:
    """The same for a container that has so many seconds to stop, which its engine waits for before it works.

    A holder that has shown nothing for so long after its step's end hangs, and its operation is taken over.
    """
    return max(LONGEST_CALL, CHANGE_CALL + stop_timeout)


# Undoing goes on for as long as what is in the way may pass: giving up would leave half an instance behind.
UNDO = Retry(tries=1_000_000, first=5.0, factor=2.0, longest=60.0, spread=0.2)

# After so many tries, some minutes, whoever waits for the end is told that it goes on without him.
WAITED_FOR = 8

# What is refused for good while undoing, or where there is no way back, ends after so many tries.
REFUSALS = 5
