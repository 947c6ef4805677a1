"""Reading typed values out of an environment; a bad one is refused by name, never echoed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from instances.lib.causes import unreadable

SPECIAL_CHARACTERS = (
    "In a user name or password # / ? [ ] @ : % are written as %23 %2F %3F %5B %5D %40 %3A %25."
)
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ALLOWED_PATH = "a path that begins with / or ~/"
MOST_COUNTED = 1_000_000
CENTURY = 36_500  # days
MOST_READ = 64 * 1024  # characters of a file
TEN_YEARS = 3650 * 86400  # seconds


class Environment:
    """Typed look-ups in a mapping. An empty value counts as not set."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str) -> str:
        return self._text(name) or default

    def secret(self, name: str) -> str | None:
        """The value of NAME, or the content of the file that NAME_FILE names."""
        value = self._text(name)
        file = self._values.get(f"{name}_FILE")
        if value and file:
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; only one is allowed.")
        if file:
            return self._read(f"{name}_FILE", Path(file))
        if value and not value.strip():
            raise _refused(name, value, "a text that is not blank")
        return value or None

    def whole(self, name: str, default: int, *, least: int = 0, most: int = MOST_COUNTED) -> int:
        value = self._values.get(name)
        if not value:
            return default
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(most))
        if not (is_number and least <= int(value) <= most):
            raise _refused(name, value, f"a whole number, {least} to {most}")
        return int(value)

    def days(self, name: str, default: int, *, least: int = 0) -> int:
        """At most a century: times so long ago and so far ahead are still dates."""
        return self.whole(name, default, least=least, most=CENTURY)

    def seconds(self, name: str, default: float, *, least: float = 0.0, most: float = TEN_YEARS) -> float:
        value = self._values.get(name)
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise _refused(name, value, f"a number of seconds, {least:g} to {most:.10g}")
        return number

    def flag(self, name: str, default: bool) -> bool:
        value = self._values.get(name)
        if not value:
            return default
        if value.lower() not in ON + OFF:
            raise _refused(name, value, "1 or 0, true or false, yes or no, on or off")
        return value.lower() in ON

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._values.get(name)
        if not value:
            return default
        if value.upper() not in allowed:
            raise _refused(name, value, f"one of {', '.join(allowed)}")
        return value.upper()

    def words(self, name: str, default: list[str]) -> list[str]:
        value = self._text(name)
        words = [part.strip() for part in value.split(",") if part.strip()]
        if value and not words:
            raise _refused(name, value, "a list with commas that is not empty")
        return words or default

    def path(self, name: str, default: Path) -> Path:
        value = self._text(name)
        if value != value.strip(" \t\r\n\"'"):  # as out of a file of variables that quotes what it holds
            raise _refused(name, value, ALLOWED_PATH)
        try:
            return Path(value or default).expanduser().absolute()
        except (RuntimeError, OSError):  # nobody's home folder, or a working folder that is gone
            if value:
                raise _refused(name, value, ALLOWED_PATH) from None
            raise ImproperlyConfigured(
                f"{name} is not set, and this account has no home folder for its default; "
                f"allowed is {ALLOWED_PATH}."
            ) from None

    def optional_path(self, name: str) -> Path | None:
        return self.path(name, Path()) if self._values.get(name) else None

    def _text(self, name: str) -> str:
        value = self._values.get(name) or ""
        try:
            value.encode()
        except UnicodeEncodeError:  # how Python hands on bytes that are no UTF-8
            raise _refused(name, value, "text in UTF-8") from None
        return value

    def _read(self, name: str, path: Path) -> str:
        try:
            with path.open(encoding="utf-8-sig") as file:  # some editors begin a file with a mark
                text = file.read(MOST_READ + 1).strip()
        except (OSError, UnicodeError) as error:
            raise ImproperlyConfigured(
                f"{name} names a file that can't be read: {unreadable(error)}."
            ) from None
        if not text or len(text) > MOST_READ:
            raise ImproperlyConfigured(f"{name} names a file that is {'too long' if text else 'empty'}.")
        return text


def form(value: str) -> str:
    """A value described without showing it."""
    kind = "digits" if value.isdigit() else "letters" if value.isalpha() else "characters"
    return f"{len(value)} {kind}"


def _refused(name: str, value: str, allowed: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} has {form(value)} that don't fit; allowed is {allowed}.")
