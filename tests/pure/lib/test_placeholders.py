"""Words in braces, and braces that are none."""

from __future__ import annotations

import pytest

from instances.lib.placeholders import fill, refuse_unknown

KNOWN = {"customer_id": "c1", "port": "20001"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("https://{customer_id}:{port}/", "https://c1:20001/"),
        ("{{customer_id}", "{customer_id}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("{ customer_id }", "{ customer_id }"),
        ("${HOME} {} {", "${HOME} {} {"),
        ("{unknown}", "{unknown}"),
        ("{{{{.Name}}", "{{.Name}}"),
    ],
)
def test_known_words_are_replaced_and_the_rest_stays(text: str, filled: str) -> None:
    assert fill(text, KNOWN) == filled


def test_a_word_that_stands_for_nothing_is_refused() -> None:
    refuse_unknown(["{customer_id} {subdomain} {plan} {host} {port}", "{{nothing}", '{"json": 1}'])
    with pytest.raises(ValueError, match=r"{owner} stands for nothing: there are {customer_id}"):
        refuse_unknown(["x", "{owner}"])
