"""Good and hostile names: customers, subdomains, images, environments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.errors import RequestError
from instances.lib import validators

NOT_TEXT = {"nothing": None, "a number": 12, "bytes": b"user123", "a list": ["user123"], "a truth": True}
HOSTILE: dict[str, object] = {
    **NOT_TEXT,
    "empty": "",
    "a newline at the end": "user123\n",
    "a newline in front": "\nuser123",
    "two lines": "user\n123",
    "a space": "user 123",
    "a blank at the end": "user123 ",
    "a leading hyphen": "-user",
    "a closing hyphen": "user-",
    "only a hyphen": "-",
    "a leading dot": ".user",
    "a closing dot": "user.",
    "two dots": "..",
    "a way up": "../user",
    "a slash": "user/123",
    "uppercase": "User123",
    "an underscore": "user_123",
    "an umlaut": "üser",
    "a wide digit": "user\uff11",
    "an Arabic digit": "user\u0663",
    "a long s": "u\u017fer",
    "a zero byte": "user\0",
    "a right-to-left mark": "user\u202e",
    "a quote": "user'",
    "a shell": "user;id",
    "a markup": "<b>",
}


@pytest.mark.parametrize(
    "value", ["ab", "user123", "a-b", "a--b", "00", "1a", "a" * 63, "a" + "-" * 61 + "b"]
)
def test_a_good_customer_id_comes_back(value: str) -> None:
    assert validators.customer_id(value) == value


@pytest.mark.parametrize(
    "value",
    [*HOSTILE.values(), "a", "a" * 64, "a.b"],
    ids=[*HOSTILE, "one character", "64 characters", "a dot"],
)
def test_any_other_customer_id_is_refused_in_one_sentence(value: object) -> None:
    with pytest.raises(RequestError, match=r"^The customer id is malformed: .*\.$"):
        validators.customer_id(value)


LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


@pytest.mark.parametrize(
    "value",
    ["user123", "user123.example.com", "a-b.ex.com", "10.example", LONGEST, "x.io", "a", "a.b.c", "1"],
)
def test_a_good_subdomain_comes_back(value: str) -> None:
    assert validators.subdomain(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *HOSTILE.values(),
        "a" * 64,
        "ab.-cd.ef",
        "ab.cd-.ef",
        "ab..cd",
        "ab.c_d",
        "ab.cd\n",
        LONGEST + "d",
        "a.-",
    ],
    ids=[
        *HOSTILE,
        "a label of 64 characters",
        "a label with a leading hyphen",
        "a label with a closing hyphen",
        "an empty label",
        "an underscore in a label",
        "a newline after labels",
        "254 characters",
        "a label that is a hyphen",
    ],
)
def test_any_other_subdomain_is_refused_in_one_sentence(value: object) -> None:
    with pytest.raises(RequestError, match=r"^The subdomain is malformed: .*\.$"):
        validators.subdomain(value)


@pytest.mark.parametrize(
    "value",
    [
        "agent",
        "agent:latest",
        "library/agent:1.2-rc_1",
        "registry.example.com/agent:latest",
        "registry.example.com:5000/team/agent",
        "localhost:5000/agent:2026.2.19",
        "Registry.example.com/agent",
        "agent@sha256:" + "0a" * 32,
        "agent:1.2@sha256:" + "0a" * 32,
        "sha256:" + "0a" * 32,
        "my__agent",
        "c0ffeec0ffee:latest",
        "a.b-c/d_e",
    ],
)
def test_a_good_image_reference_comes_back(value: str) -> None:
    assert validators.image(value) == value


BAD_IMAGES: dict[str, object] = {
    **NOT_TEXT,
    "empty": "",
    "blank": " ",
    "a newline at the end": "agent\n",
    "a space": "agent latest",
    "an option": "--privileged",
    "an absolute path": "/agent",
    "a way up in front": "../agent",
    "a way up inside": "a/../../containers/other",
    "a way up at the end": "agent/..",
    "a step that stays": "a/./agent",
    "an empty part": "a//agent",
    "a closing slash": "agent/",
    "an empty tag": "agent:",
    "two tags": "agent:1:2",
    "an empty digest": "agent@",
    "uppercase": "Agent:latest",
    "uppercase in front": "Team/agent:1",
    "an umlaut": "ägent",
    "a query": "agent?x=1",
    "a fragment": "agent#x",
    "an escape": "agent%2f..",
    "a shell": "agent;id",
    "a substitution": "$(id)",
    "a zero byte": "agent\0",
    "513 characters": "a" * 513,
}


@pytest.mark.parametrize("value", BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_what_can_be_no_image_reference_is_refused(value: object) -> None:
    with pytest.raises(RequestError, match=r"^The image reference is malformed\.$"):
        validators.image(value)


def test_the_short_form_of_an_id_is_not_taken_for_a_repository() -> None:
    with pytest.raises(RequestError, match=r"c0ffeec0ffee:latest or write the id in full \(sha256:…\)"):
        validators.image("c0ffeec0ffee")


SECRET = "s3ntinel-value"


def test_a_good_environment_comes_back_as_a_copy() -> None:
    values = {"API_KEY": SECRET, "_x1": "", "MULTI": "a\nb=ü", "LONG": "x" * 32768}
    values |= dict.fromkeys(("spring.profiles-active", "A-", "_.", "n" * 512), "x")
    result = validators.environment(values)
    assert result == values and result is not values
    assert validators.environment({}) == {}


BAD_NAMES = (
    "",
    "A B",
    "A=B",
    "=",
    "A\n",
    "A\0",
    "A\x1b",
    "\ud800",
    " A",
    "A\u00a0",
    "n" * 513,
    "1A",
    "a/b",
    "Ä",
    1,
    None,
    ("A",),
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_malformed_variable_is_refused_without_its_value(name: object) -> None:
    with pytest.raises(RequestError) as refusal:
        validators.environment({name: SECRET})
    assert SECRET not in str(refusal.value) and str(refusal.value).endswith(".")


BAD_VALUES: dict[str, object] = {
    "nothing": None,
    "a number": 31415926,
    "a truth": True,
    "bytes": SECRET.encode(),
    "a list": [SECRET],
    "a mapping": {"a": SECRET},
    "a zero byte": f"{SECRET}\0",
    "too long": SECRET * 4000,
    "half of a character": f"{SECRET}\ud800",
}


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_value_that_fits_no_environment_is_refused_by_name_only(value: object) -> None:
    with pytest.raises(RequestError, match=r"^The value of API_KEY .*\.$") as refusal:
        validators.environment({"OTHER": "fine", "API_KEY": value})
    assert SECRET not in str(refusal.value) and "31415926" not in str(refusal.value)


@pytest.mark.parametrize("values", [None, [], "A=1", [("A", "1")], 3, {"A"}], ids=repr)
def test_an_environment_that_is_no_mapping_is_refused(values: object) -> None:
    with pytest.raises(RequestError, match="must map names to texts"):
        validators.environment(values)


@given(st.text(max_size=70))
def test_an_accepted_customer_id_is_safe_in_names_of_containers_and_hosts(text: str) -> None:
    try:
        value = validators.customer_id(text)
    except RequestError:
        return
    assert 2 <= len(value) <= 63
    assert value == value.lower() and value.replace("-", "").isalnum() and value.isascii()


@pytest.mark.parametrize("value", ["ab", "A_b.c-9", "0" * 255, "web-1.previous"])
def test_a_good_container_name_comes_back(value: str) -> None:
    assert validators.container_name(value) == value


@pytest.mark.parametrize(
    "value", [*NOT_TEXT.values(), "", "a", "-a", ".a", "_a", "a b", "a/b", "ä1", "ab\n", "a" * 256]
)
def test_what_no_engine_calls_a_container_is_refused(value: object) -> None:
    with pytest.raises(RequestError, match="container's name"):
        validators.container_name(value)
