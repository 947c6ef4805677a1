"""Takes secrets out of text before anybody stores, prints or sends it."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator

from instances.lib.escapes import STARTERS, unescaped
from instances.lib.phrases import SHORTEST, Phrases, Span
from instances.lib.secret_shapes import shaped_spans

MARK = "[redacted]"

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

_LAYERS = 3  # of escapes, as of JSON within JSON of a secret with escapes of its own
_LONGEST_ESCAPE = 10
# Of characters that a cut went through.
_HALVES = "".join(map(chr, [*range(0xD800, 0xDC00), *range(0xDC80, 0xDD00)]))

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

    Given values are found raw, inside base64, and escaped by any rules of JSON, HTML, Python, URLs or shells,
    also twice; those of several lines also line by line, for lines of 8 characters and more. `is_secret` says
    which values are too plain to hide. Overlapping finds become one mark, so a secret that contains another
    vanishes whole.
    Without values, keys of known shape, `Authorization` headers, passwords in URLs and values named
    KEY, TOKEN, SECRET, PASSWORD, PASSWD, CREDENTIAL or PRIVATE are still replaced, in linear time.

    `longest` is more than the length in UTF-8 bytes of the longest form; 0 without secrets.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        if isinstance(secrets, str):
            raise TypeError("Redactor takes several secrets, not one string")
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = Phrases(forms)
        self.longest = max(map(_longest_escaped, forms), default=0)

    def text(self, s: str, *, is_cut: bool = False) -> str:
        """`s` with every secret replaced.

        Where only the start of the text is there (`is_cut`), the start of a secret at its end is replaced as
        well, when 4 characters or more of it are left.
        """
        spans = list(self._spans(s))
        if is_cut and self.longest:
            spans.append((len(s) - self._begun(s[-self.longest :]), len(s)))
        return _mask(s, spans)

    def _spans(self, s: str, layers: int = _LAYERS) -> Iterator[Span]:
        """Where secrets stand, as they are or escaped that often."""
        yield from self._forms.spans(s)
        yield from shaped_spans(s)
        plain = unescaped(s) if layers else None
        if plain is not None:
            for start, end in self._spans(plain.text, layers - 1):
                yield plain.place(start), plain.place(end)

    def _begun(self, s: str, layers: int = _LAYERS) -> int:
        """How many characters at the end are the start of a secret, whose escape may be cut as well."""
        most = self._forms.begun_at_end(s)
        for end in _escapes_begun(s) if layers else ():
            plain = unescaped(s[:end])
            text = (plain.text if plain else s[:end]).rstrip(_HALVES)
            if begun := self._begun(text, layers - 1 if plain else 0):
                at = len(text) - begun
                most = max(most, len(s) - (plain.place(at) if plain else at))
        return most


def _escapes_begun(s: str) -> Iterator[int]:
    """Where the text ends, and before that where an escape may have begun that is cut there."""
    yield len(s)
    begun = [at for at in range(max(0, len(s) - _LONGEST_ESCAPE), len(s)) if s[at] in STARTERS]
    yield from begun[-2:]


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


def _forms(secret: str) -> Iterator[str]:
    """What to look for of one secret: its pieces raw, with the spaces that a form sends, and in base64.

    What looks escaped in it is taken for that in a text as well, so it is looked for in that form too.
    """
    for text in _layers(secret):
        for piece in _pieces(text):
            yield from (piece, piece.replace(" ", "+"))
            yield from _base64_forms(piece.encode("utf-8", "surrogatepass"))
    if is_secret(secret):
        yield from _base64_lines(secret.encode("utf-8", "surrogatepass"))


def _layers(text: str) -> Iterator[str]:
    """The text, and what it is without its escapes."""
    for _ in range(_LAYERS):
        yield text
        plain = unescaped(text)
        if plain is None:
            return
        text = plain.text


def _longest_escaped(form: str) -> int:
    """How many bytes a form takes at most where it is escaped twice."""
    plain = sum(map(len, _NEVER_ESCAPED.findall(form)))
    others = _NEVER_ESCAPED.sub("", form)
    return plain + sum(
        7 if other.isascii() else 5 * len(other.encode("utf-8", "replace")) for other in others
    )


def _base64_lines(data: bytes) -> Iterator[str]:
    """Its base64 in lines of 76 or 64 characters, as programs and certificates have it."""
    for width in (57, 48):
        if len(data) > width:
            for start in range(0, len(data), width):
                line = data[start : start + width]
                if len(line) >= _SHORTEST_LINE:
                    yield base64.b64encode(line[: len(line) // 3 * 3]).decode()


def _base64_forms(data: bytes) -> Iterator[str]:
    """The characters that depend on the data alone, for each place it can have in a larger blob."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        shared_at_end = (0, 3, 2)[(shift + len(data)) % 3]
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - shared_at_end]
        if len(inner) >= _SHORTEST:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))


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
