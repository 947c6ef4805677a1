"""What kinds of engines are known not to keep, test by test, and why."""

from __future__ import annotations

from collections.abc import Mapping

KNOWN: Mapping[str, Mapping[str, str]] = {
    "podman": {},
}
