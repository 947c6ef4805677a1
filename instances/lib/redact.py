"""Takes secrets out of text before anybody stores, prints or sends it."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from instances.lib.phrases import SHORTEST, Phrases, Span

MARK = "[redacted]"

Shape = tuple[tuple[str, ...], re.Pattern[str]]

_SHORTEST = SHORTEST
_SHORTEST_LINE = 8
_PLAIN = re.compile(
    r"""[\d.+-]{1,5}
    | true | false | none | null | auto | default | enabled | disabled | always | never | local | localhost
    | test | testing | dev | development | stage | staging | prod | production | trace | debug | info | warn
    | warning | error | critical | json | text | utf-8 | http | https | user | admin | root | node | postgres
    | redis | password | secret | token | redacted""",
    re.VERBOSE | re.IGNORECASE,
)

# What every way of writing a piece leaves as it is.
_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9_.-]+")

# A long secret is looked for in overlapping windows: that bounds `longest`, and the overlap leaves no gap
# where an encoding (base64) blurs a window's first and last characters.
_WINDOW = 512
_OVERLAP = 32


def is_secret(value: str) -> bool:
    """Whether a value is hidden wherever it appears.

    Not hidden: values of under 4 characters, numbers of under 6 ("8080", "0.25"), and a short list of
    plain words ("true", "prod", "info"). They turn up in any log by chance, so hiding them would shred
    the text and protect nothing that could not be guessed.
    """
    text = value.strip()
    return len(text) >= _SHORTEST and _PLAIN.fullmatch(text) is None


class Redactor:
    """Replaces secrets by `[redacted]`: the given ones in every form they travel in, and what looks like one.

    Given values are found raw, escaped (JSON, HTML, Python), URL-quoted and inside base64; values of several
    lines also line by line, for lines of 8 characters and more. `is_secret` says which values are too
    plain to hide. Overlapping finds become one mark, so a secret that contains another vanishes whole.
    Without values, keys of known shape, `Authorization` headers, passwords in URLs and values named
    KEY, TOKEN, SECRET, PASSWORD, PASSWD, CREDENTIAL or PRIVATE are still replaced, in linear time.

    `longest` is the length in UTF-8 bytes of the longest form; 0 without secrets.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        if isinstance(secrets, str):
            raise TypeError("Redactor takes several secrets, not one string")
        pieces = {piece for secret in secrets for piece in _pieces(secret)}
        forms = {form for piece in pieces for form in _forms(piece)}
        self._forms = Phrases(forms)
        self.longest = max((len(form.encode("utf-8", "surrogatepass")) for form in forms), default=0)

    def text(self, s: str) -> str:
        """`s` with every secret replaced."""
        return _mask(s, self._spans(s))

    def edges(self, s: str, *, cut_left: bool, cut_right: bool) -> str:
        """Like `text`, for a piece cut out of a line: also replaces what a cut left of a secret.

        That is the end of one at a cut left edge, or the start of one at a cut right edge, when 4
        characters or more of it are left.
        """
        spans = self._spans(s)
        if cut_left:
            spans.append((0, self._forms.ended_at_start(s)))
        if cut_right:
            spans.append((len(s) - self._forms.begun_at_end(s), len(s)))
        if cut_left and cut_right and len(s) >= _SHORTEST and self._forms.contain(s):
            spans.append((0, len(s)))
        return _mask(s, spans)

    def _spans(self, s: str) -> list[Span]:
        return [*self._forms.spans(s), *_general_spans(s)]


def _mask(s: str, spans: Iterable[Span]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if start > done or not parts:
            parts += (s[done:start], MARK)
        done = max(done, end)
    return "".join(parts) + s[done:]


def _pieces(value: str) -> Iterator[str]:
    """What to look for of one secret: the whole of it, and each of its longer lines."""
    lines = (line.strip() for line in value.splitlines())
    long_lines = [line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    for text in {value, value.strip(), *long_lines}:
        if is_secret(text):
            yield from _windows(text)


def _windows(text: str) -> Iterator[str]:
    last = max(len(text) - _WINDOW, 0)
    for start in (*range(0, last, _WINDOW - _OVERLAP), last):
        yield text[start : start + _WINDOW]


def _forms(piece: str) -> Iterator[str]:
    """The piece as it is written raw, in JSON, in HTML, in Python, in a URL and inside base64."""
    data = piece.encode("utf-8", "surrogatepass")
    yield piece
    yield from _base64_forms(data)
    if _NEVER_ESCAPED.fullmatch(piece):
        return
    # repr picks its quotes by what else a text holds, so both choices occur.
    yield from (repr(piece)[1:-1], repr('"' + piece)[2:-1], ascii(piece)[1:-1], repr(data)[2:-1])
    yield from _json_forms(piece)
    yield from _html_forms(piece)
    for form in (quote(data, safe=""), quote(data), quote(data, safe="!'()*"), quote_plus(data)):
        yield from (form, re.sub("%..", lambda escape: escape[0].lower(), form))


def _json_forms(piece: str) -> Iterator[str]:
    for ascii_only in (True, False):
        once = json.dumps(piece, ensure_ascii=ascii_only)[1:-1]
        yield from (once, json.dumps(once)[1:-1], once.replace("/", "\\/"))
        # Encoders that write for HTML pages, Go's among them.
        yield once.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _html_forms(piece: str) -> Iterator[str]:
    """As pages and XML have it: quotes as they are, named, or by number, which Go and others write."""
    text = html.escape(piece, quote=False)
    for double, single in (('"', "'"), ("&quot;", "&#x27;"), ("&quot;", "&apos;"), ("&#34;", "&#39;")):
        yield text.replace('"', double).replace("'", single)


def _base64_forms(data: bytes) -> Iterator[str]:
    """The characters that depend on the data alone, for each place it can have in a larger blob."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        shared_at_end = (0, 3, 2)[(shift + len(data)) % 3]
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - shared_at_end]
        if len(inner) >= _SHORTEST:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))
            if not inner.isalnum():
                yield quote(inner, safe="")


def _shape(pattern: str, *cues: str, flags: int = 0) -> Shape:
    return cues, re.compile(pattern, re.ASCII | re.VERBOSE | flags)


# A key begins where no word goes on: after a separator, an escaped newline, a colour code, a %XX.
_BEGIN = r"(?: (?<![A-Za-z0-9]) | (?<=\\[nrt]) | (?<=[\d\[]m) | (?<=%[0-9A-Fa-f]{2}) )"
_GAP = r"(?: [ \t]{1,4} | %20 )"

_NAMED = re.compile(
    r"""
    (?P<name> (?:key|token|secret|passw(?:or)?d|credential|private) [\w.-]{0,64}+ )
    (?<!error) (?<!exception) (?<!warning)
    (?: \\{0,3}["'] [ \t]{0,4} (?: : | =>? ) [ \t]{0,4}  # JSON, or a dict's repr
      | [ \t]{0,4} (?: ={1,3}>? | %3d ) [ \t]{0,4}       # NAME=value
      | : [ \t]{1,4} )                                   # header or YAML; "token-host:8080" is an address
    (?: b?(["']) ( (?: \\. | (?!\2)[^\\] )* )
      | (\\{1,3}["']) ( (?: \\{3}. | (?!\4). )* )       # JSON inside a JSON string
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
        rf"""authorization \\{{0,3}}["']? [ \t]{{0,4}} [:=] [ \t]{{0,4}} \\{{0,3}}["']?
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


def _general_spans(s: str) -> Iterator[Span]:
    low = s.lower()
    if any(cue in low for cue in _NAMED_CUES):
        yield from _named_spans(s)
    for cues, pattern in _SHAPES:
        if any(cue in low for cue in cues):
            yield from (match.span(match.lastindex) for match in pattern.finditer(s) if match.lastindex)


GENERAL = Redactor(())

# What formatting raises for arguments that do not fit, and what a careless __str__ is likely to.
_FORMATTING_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class RedactingFilter(logging.Filter):
    """Applies the general patterns to a record's message, exception text and stack; drops no record.

    A message that cannot be formatted goes out as its template, without the arguments.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = _message_of(record)
        clean = GENERAL.text(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = GENERAL.text(record.exc_text)
        if record.stack_info:
            record.stack_info = GENERAL.text(record.stack_info)
        return True


def _message_of(record: logging.LogRecord) -> str:
    """The record's text; a record that cannot be formatted loses its arguments."""
    try:
        return record.getMessage()
    except _FORMATTING_ERRORS as error:
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        record.msg, record.args = f"{template} [arguments left out: {type(error).__name__}]", None
        return record.getMessage()
