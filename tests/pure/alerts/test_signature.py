"""Signed webhooks: the example of the standard, and which secrets are taken."""

from __future__ import annotations

import pytest

from instances.alerts.signature import headers, secret_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_standard() -> None:
    secret = secret_of(f"json://host/hook?signing_secret={SECRET}")
    assert secret is not None
    body = b'{"test": 2432232314}'
    assert headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("query", "length"),
    [
        ("", None),
        ("?other=1", None),
        (f"?a=b&signing_secret={SECRET}", 24),
        (f"?signing_secret=whsec_{'A+/a' * 8}", 24),
        (f"?signing_secret=whsec_{'A%2B%2Fa' * 8}", 24),
    ],
)
def test_a_secret_is_found_in_the_url(query: str, length: int | None) -> None:
    found = secret_of(f"json://host/{query}")
    assert (len(found) if found else None) == length


@pytest.mark.parametrize(
    "secret", ["", "MfKQ9r8G", "whsec_", "whsec_MfKQ", "whsec_!!!!", f"whsec_{'A' * 100}"]
)
def test_what_is_no_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="signing_secret") as refused:
        secret_of(f"json://host/?signing_secret={secret}")
    assert secret[6:] == "" or secret[6:] not in str(refused.value)
