"""Words in braces that stand for what is known of an instance; `{{` is a brace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

KNOWN = ("customer_id", "subdomain", "plan", "host", "port")
_PARTS = re.compile(r"\{\{|\{([a-z_]{1,40})\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each known word replaced; what is in no known form stays as it is."""
    return _PARTS.sub(lambda part: "{" if part[0] == "{{" else values.get(part[1], part[0]), text)


def refuse_unknown(texts: Iterable[str]) -> None:
    """Raise ValueError for a word in braces that stands for nothing."""
    for text in texts:
        for part in _PARTS.finditer(text):
            if part[1] and part[1] not in KNOWN:
                known = ", ".join(f"{{{word}}}" for word in KNOWN)
                raise ValueError(f"{part[0]} stands for nothing: there are {known}, and {{{{ is a brace")
