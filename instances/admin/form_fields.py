"""Fields of forms whose values are words, sizes or documents, in a form a person can type."""

from __future__ import annotations

from textwrap import indent
from typing import Any

import yaml
from django import forms
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from instances.errors import RequestError
from instances.fleet.entry import shown
from instances.fleet.file import parse_mapping
from instances.lib import sizes


class WordsField(forms.CharField):
    """A list of names, one on each line or separated by commas."""

    widget = UnfoldAdminExpandableTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [word for line in str(value or "").splitlines() for word in line.replace(",", " ").split()]


def as_yaml(document: dict[str, Any] | list[Any]) -> str:
    """A document as a person would type it; an empty one is an empty text."""
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)) if document else ""


class WordsDocumentField(forms.Field):
    """One of a plan's documents, as YAML; JSON will do. `words` are the keys it may have."""

    words: frozenset[str] = frozenset()
    widget = UnfoldAdminExpandableTextareaWidget

    def __init__(self, words: frozenset[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words
        self.widget.attrs |= {
            "rows": 8,
            "spellcheck": "false",
            "class": f"{self.widget.attrs['class']} font-mono",
        }

    def prepare_value(self, value: Any) -> Any:
        return as_yaml(value) if isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial or {}, data)

    def to_python(self, value: Any) -> dict[str, Any]:
        try:
            found = parse_mapping(str(value or ""))
        except RequestError as error:
            raise forms.ValidationError(str(error)) from None
        strangers = sorted(str(word) for word in set(found) - self.words)
        if strangers:
            raise forms.ValidationError(f"{shown(strangers[0])} is not a known option.")
        return found


class LogAlertsField(forms.Field):
    """A plan's log alerts, as YAML: a list, or nothing."""

    widget = UnfoldAdminExpandableTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs |= {"rows": 4, "spellcheck": "false"}

    def prepare_value(self, value: Any) -> Any:
        return as_yaml(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[Any]:
        text = indent(str(value or "").strip("\r\n"), "  ")
        try:
            found = parse_mapping(f"log_alerts:\n{text}").get("log_alerts") or []
        except RequestError as error:
            raise forms.ValidationError(str(error)) from None
        if not isinstance(found, list):
            raise forms.ValidationError("Write a list: each entry begins with a hyphen.")
        return found


class SizeField(forms.CharField):
    """A number of bytes, as people write it."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return sizes.shortest(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        try:
            return sizes.in_bytes(value) if value not in (None, "") else None
        except ValueError as error:
            raise forms.ValidationError(f"It {error}.") from None
