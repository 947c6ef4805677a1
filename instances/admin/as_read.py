"""Two who edit the same row: the second is told what has changed, and overwrites it only knowingly.

The page carries a digest of each value as it was read. A form that is sent without them is not held to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from django import forms
from django.db.models import Model
from django.utils.crypto import salted_hmac
from django.utils.text import get_text_list

FIELD = "as_read"
Digests: TypeAlias = dict[str, str]


def digests(row: Model, names: Iterable[str]) -> Digests:
    """What tells whether a value is still the same, by name; it tells nothing else of it."""
    values = forms.model_to_dict(row, fields=list(names))
    return {name: _digest(value) for name, value in values.items()}


def _digest(value: object) -> str:
    said = sorted(each.pk for each in value) if isinstance(value, list) and _are_rows(value) else value
    return salted_hmac(FIELD, repr(said)).hexdigest()[:12]


def _are_rows(values: list[Any]) -> bool:
    return all(isinstance(each, Model) for each in values)


def guarded(form: type[forms.ModelForm]) -> type[forms.ModelForm]:  # type: ignore[type-arg]
    """The form, refused once when what it would overwrite was changed after it had been shown."""

    class Guarded(form):  # type: ignore[valid-type, misc]
        as_read = forms.CharField(required=False, widget=forms.HiddenInput)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._now = digests(self.instance, self.fields)
            if FIELD in self.fields:
                self.fields[FIELD].initial = msgspec.json.encode(self._now).decode()

        def clean(self) -> Any:
            cleaned = super().clean()
            then = _given(self.cleaned_data.get(FIELD, ""))
            changed = [name for name, digest in self._now.items() if then.get(name, digest) != digest]
            if changed:
                self._note(self.fields[FIELD].initial)
                raise forms.ValidationError(_sentence(self.instance, changed))
            return cleaned

        def _note(self, read: str) -> None:
            """The page that tells it carries what is there now."""
            shown: Any = self.data.copy()  # type: ignore[has-type]
            shown[self.add_prefix(FIELD)] = read
            self.data = shown

    return Guarded


def _given(text: str) -> Digests:
    try:
        return msgspec.json.decode(text or "{}", type=Digests)
    except (ValueError, RecursionError):
        return {}


def _sentence(row: Model, names: list[str]) -> str:
    known = [str(row._meta.get_field(name).verbose_name) for name in names]  # type: ignore[union-attr]
    return (
        f"Somebody else has changed {get_text_list(known, 'and')} since this page was opened, so nothing was "
        "saved. Save again to overwrite that, or open the page anew to see it."
    )
