"""What secrets look like: keys of known shape, headers, passwords in URLs, and values whose name says it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instances.lib.phrases import Span

Shape = tuple[tuple[str, ...], re.Pattern[str]]


def _shape(pattern: str, *cues: str, flags: int = 0) -> Shape:
    return cues, re.compile(pattern, re.ASCII | re.VERBOSE | flags)


# A key begins where no word goes on: after a separator or a colour code.
_BEGIN = r"(?: (?<![A-Za-z0-9]) | (?<=[\d\[]m) )"
_GAP = r"[ \t]{1,4}"

_NAMED = re.compile(
    r"""
    (?P<name> (?:key|token|secret|passw(?:or)?d|credential|private) [\w.-]{0,64}+ )
    (?<!error) (?<!exception) (?<!warning)
    (?: ["'] [ \t]{0,4} (?: : | =>? ) [ \t]{0,4}  # JSON, or a dict's repr
      | [ \t]{0,4} ={1,3}+ >? [ \t]{0,4}          # NAME=value
      | : [ \t]{1,4} )                            # header or YAML; "token-host:8080" is an address
    (?: b?(["']) ( (?: \\. | (?!\2)[^\\] )* )
      | (?P<bare> (?: [^\s"'&\\] | \\(?!["']) )+ ) )
    """,
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)
_NAMED_CUES = ("key", "token", "secret", "passw", "credential", "private")
_NO_VALUE = frozenset({"", "true", "false", "none", "null", "nil", "undefined"})

# What a pattern's last group matched is hidden. A pattern is tried only on text with one of its cues (in
# lower case). Every repetition is possessive, bounded, or the last thing in its pattern, and read by one
# match only: linear time. Groups are never repeated possessively: Python before 3.11.5 loses their end.
_SHAPES: tuple[Shape, ...] = (
    _shape(
        _BEGIN
        + r"""( sk-[\w-]{20,}+ | [sr]k_(?:live|test)_\w{16,}+ | gh[pousr]_\w{16,}+ | github_pat_\w{20,}+
        | glpat-[\w-]{16,}+ | xox[abeprs]-[\w-]{10,}+ | A[KS]IA[0-9A-Z]{16} | AIza[\w-]{35}
        | dm_[\w-]{43} )""",
        *("sk-", "k_live_", "k_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        *("glpat-", "xox", "akia", "asia", "aiza", "dm_"),
    ),
    _shape(r"(?<!\d) ( \d{8,10}:AA[\w-]{33} )", ":aa"),
    # JSON Web Tokens. A lone first part is matched as well, in no group, so that nobody reads it twice.
    _shape(r"( eyJ[\w-]{8,}+ \.[\w-]{8,}+ [\w.-]*+ ) | eyJ[\w-]{8,}+", "eyj"),
    _shape(
        rf"""(?: bearer | ["']basic ) {_GAP} (?! (?:token|auth\w{{0,20}}|realm)\b ) ( [^\s"',;\\]+ )""",
        *("bearer", "basic"),
        flags=re.IGNORECASE,
    ),
    _shape(
        rf"""authorization ["']? [ \t]{{0,4}} [:=] [ \t]{{0,4}} ["']?
        (?: (?:bearer|basic|token|digest|apikey) {_GAP} )? ( [^\s"',;\\]+ )""",
        "authorization",
        flags=re.IGNORECASE,
    ),
    # The user alone stays readable in an SSH address: it is no secret there.
    _shape(r""":// (?: (?<!ssh://) | (?= [^\s/?#"'<>@:]*: ) ) ( [^\s/?#"'<>]+ ) @""", "://"),
    _shape(
        r"-----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY----- ( (?: (?!-----END). )* )",
        "private key-----",
        flags=re.DOTALL,
    ),
)


def _named_spans(s: str) -> Iterator[Span]:
    for match in _NAMED.finditer(s):
        start, end = match.span(match.lastindex or 0)
        if match.lastgroup == "bare":
            end = start + len(match["bare"].rstrip(",;)}"))
        if not _tells_nothing(match["name"].casefold(), s[start:end].casefold()):
            yield start, end


def _tells_nothing(name: str, value: str) -> bool:
    """A flag ("token: true") or a count ("max_tokens: 128000", "keys=12") rather than a secret."""
    plural = name.startswith(("tokens", "keys"))
    counts = value.isdigit() and (plural or (len(value) <= 5 and name.startswith(("key", "token"))))
    return counts or value.strip("{[(") in _NO_VALUE


def shaped_spans(s: str) -> Iterator[Span]:
    """Where a text has what looks like a secret, whoever's it is. Takes linear time."""
    low = s.lower()
    if any(cue in low for cue in _NAMED_CUES):
        yield from _named_spans(s)
    for cues, pattern in _SHAPES:
        if any(cue in low for cue in cues):
            yield from (match.span(match.lastindex) for match in pattern.finditer(s) if match.lastindex)
