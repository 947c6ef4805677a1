"""Which registry an image is in, and which of the known ones that is."""

from __future__ import annotations

import pytest

from instances.containers.image_names import (
    host_of,
    in_full,
    is_id,
    longest_match,
    names_registry,
    repository,
)


@pytest.mark.parametrize(
    ("ref", "whole", "said"),
    [
        ("nginx", "docker.io/library/nginx", False),
        ("n8nio/n8n:1.2", "docker.io/n8nio/n8n", False),
        ("docker.io/nginx:1", "docker.io/library/nginx", True),
        ("index.docker.io/a/b", "docker.io/a/b", True),
        ("ghcr.io/a/b:1@sha256:ab", "ghcr.io/a/b", True),
        ("localhost/a", "localhost/a", True),
        ("127.0.0.1:5000/a:1", "127.0.0.1:5000/a", True),
        ("host:5000/a/b", "host:5000/a/b", True),
    ],
)
def test_the_reference_says_where_an_image_is(ref: str, whole: str, said: bool) -> None:
    assert (repository(ref), names_registry(ref)) == (whole, said)


KNOWN = ("ghcr.io", "ghcr.io/team", "ghcr.io/team/inner", "docker.io", "r.io:5000/x")


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("ghcr.io/other/a:1", "ghcr.io"),
        ("ghcr.io/team/a", "ghcr.io/team"),
        ("ghcr.io/teams/a", "ghcr.io"),
        ("ghcr.io/team/inner/a@sha256:ab", "ghcr.io/team/inner"),
        ("nginx", "docker.io"),
        ("r.io:5000/x/y", "r.io:5000/x"),
        ("r.io:5000/z", None),
        ("r.io/x/y", None),
    ],
)
def test_the_longest_name_wins(ref: str, name: str | None) -> None:
    assert longest_match(KNOWN, ref) == name


def test_the_hub_goes_by_several_names() -> None:
    assert {host_of(name) for name in ("docker.io", "index.docker.io", "registry-1.docker.io/a")} == {
        "docker.io"
    }


@pytest.mark.parametrize(
    ("ref", "itself"),
    [
        ("sha256:" + "0a" * 32, True),
        ("0a" * 32, True),
        ("registry.example.com/" + "a" * 43, False),  # as long as an id
        ("agent@sha256:" + "0a" * 32, False),
        ("nginx", False),
    ],
)
def test_an_id_is_told_from_a_name_of_its_length(ref: str, itself: bool) -> None:
    assert is_id(ref) is itself


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("cafe", "cafe:latest"),
        ("1042", "1042:latest"),
        ("cafe:1", "cafe:1"),
        ("agent", "agent"),
        ("ab" * 32, "ab" * 32),
        ("sha256:cafe", "sha256:cafe"),
    ],
)
def test_a_name_that_reads_as_the_beginning_of_an_id_is_written_in_full(ref: str, expected: str) -> None:
    assert in_full(ref) == expected
