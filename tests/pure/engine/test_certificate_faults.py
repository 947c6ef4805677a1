"""What is said of a certificate that is not trusted, by what Python says of it."""

from __future__ import annotations

import pytest

from instances.engine.certificates import TlsFiles, fault

FILES = TlsFiles("/ca.pem", "/cert.pem", "/key.pem")
BROKEN = "its certificate, or that of its authority, breaks a rule: "
SAID = {
    "self-signed certificate": "its certificate is not signed by the authority in /ca.pem",
    "CA cert does not include key usage extension": f"{BROKEN}ca cert does not include key usage extension",
    "Missing Authority Key Identifier": f"{BROKEN}missing authority key identifier",
    "certificate has expired": "its certificate has expired",
}


@pytest.mark.parametrize("reason", SAID)
def test_the_reason_is_the_one_that_python_has(reason: str) -> None:
    text = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:1020)"
    assert fault(text, FILES) == SAID[reason]
