"""A Redis that refuses is told with its own reason, in words of ours."""

from __future__ import annotations

import ssl

import pytest
from kombu.exceptions import OperationalError
from redis import exceptions

from tasks.broker.reasons import OUT_OF_REACH, broker_sentence, is_of_the_message

SECRET = "s3ntinel"

FAILURES: dict[str, tuple[Exception, str]] = {
    "out of memory": (exceptions.OutOfMemoryError(f"command not allowed {SECRET}"), "memory is full"),
    "wrong password": (exceptions.AuthenticationError("invalid username-password pair"), "password is wrong"),
    "no password": (exceptions.AuthenticationError("NOAUTH Authentication required."), "wants a user name"),
    "few rights": (exceptions.NoPermissionError(f"User {SECRET} has no permissions"), "rights are too few"),
    "one right": (
        exceptions.NoPermissionError(f"User {SECRET} has no permissions to run the 'brpop' command"),
        "its user may not run brpop (ACL)",
    ),
    "a right of a script": (
        exceptions.ResponseError("The user executing the script can't run this command or subcommand"),
        "rights are too few",
    ),
    "old": (
        exceptions.ResponseError(f"unknown command `HELLO`, with args beginning with: `{SECRET}`, "),
        "older than version 6.2",
    ),
    "of version 6.0": (
        exceptions.ResponseError(
            "Error running script (call to f_2a5f): @user_script:22: @user_script: 22: "
            "Wrong number of args calling Redis command From Lua script"
        ),
        "older than version 6.2",
    ),
    "of version 6.0, by one of many commands": (
        exceptions.ResponseError(
            f"Command # 13 (EVALSHA {'2a5f' * 10} 3 ROOM:dockmgr:tried:index ROOM:dockmgr:tried:book ...) of "
            f"pipeline caused error: Error running script (call to f_{'2a5f' * 10}): @user_script:22: "
            "@user_script: 22: Wrong number of args calling Redis command From Lua script"
        ),
        "older than version 6.2",
    ),
    "no channels": (
        exceptions.NoPermissionError("No permissions to access a channel"),
        "its user may use no channels",
    ),
    "few replicas": (
        exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        "min-replicas",
    ),
    "replica": (exceptions.ReadOnlyError("You can't write against a read only replica."), "is a replica"),
    "lonely replica": (exceptions.MasterDownError("Link with MASTER is down"), "whose master is away"),
    "cluster without slots": (exceptions.ClusterDownError("Hash slot not served"), "part of a cluster"),
    "another slot": (exceptions.MovedError(f"12182 {SECRET}:6380"), "part of a cluster"),
    "two slots": (exceptions.ClusterCrossSlotError("Keys in request don't hash"), "part of a cluster"),
    "second database of a cluster": (
        exceptions.ResponseError("SELECT is not allowed in cluster mode"),
        "part of a cluster",
    ),
    "disk": (exceptions.ResponseError(f"MISCONF Redis is configured to save {SECRET}"), "save to its disk"),
    "connections": (exceptions.ConnectionError("max number of clients reached"), "as many connections"),
    "foreign certificate": (ssl.SSLCertVerificationError(1, SECRET), "certificate is not trusted"),
    "no TLS": (ssl.SSLError(1, f"WRONG_VERSION_NUMBER {SECRET}"), "TLS can't be agreed on"),
    "nobody there": (
        exceptions.ConnectionError(f"Error 111 connecting to {SECRET}:6379. Connection refused."),
        "can't be reached: nothing listens there",
    ),
    "no such host": (
        exceptions.ConnectionError(f"Error -2 connecting to {SECRET}:6379. Name or service not known."),
        "can't be reached: the name of its host is not known",
    ),
    "silent": (
        exceptions.TimeoutError("Timeout reading from socket"),
        "can't be reached: it does not answer",
    ),
    "no socket": (
        exceptions.ConnectionError(f"Error 2 connecting to /{SECRET}. No such file or directory."),
        "can't be reached: nothing listens there",
    ),
    "no file": (FileNotFoundError(2, "No such file or directory"), OUT_OF_REACH),
    "cut": (exceptions.ConnectionError("Connection closed by server."), OUT_OF_REACH),
    "something else": (exceptions.ResponseError(f"ERR {SECRET}"), OUT_OF_REACH),
}


@pytest.mark.parametrize(("error", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_the_reason_is_told_also_when_it_is_wrapped(error: Exception, words: str) -> None:
    wrapped = OperationalError(SECRET)
    wrapped.__cause__ = error
    for failure in (error, wrapped):
        sentence = broker_sentence(failure)
        assert words in sentence and "DOCKMGR_BROKER_URL" in sentence and SECRET not in sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TypeError("a bytes-like object is required"), True),
        (RecursionError("maximum recursion depth exceeded"), True),
        (exceptions.DataError("Invalid input of type: 'NoneType'"), True),
        (exceptions.ConnectionError("Connection closed by server."), False),
        (exceptions.ResponseError("OOM command not allowed"), False),
        (BrokenPipeError("Broken pipe"), False),
        (RuntimeError("can't start new thread"), False),
        (RuntimeError("cannot schedule new futures after shutdown"), False),
        (MemoryError(), False),
    ],
    ids=str,
)
def test_a_message_is_blamed_for_what_it_brings_along_alone(error: Exception, expected: bool) -> None:
    assert is_of_the_message(error) is expected
