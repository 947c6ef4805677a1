"""Pulling an image as whom its registry knows, and what there is to say when that is refused."""

from __future__ import annotations

import logging

from instances.access.registry_logins import login_for
from instances.containers.facts import ImageFacts
from instances.containers.image_names import host_of, is_id, repository
from instances.engine.port import RegistryLogin
from instances.errors import (
    DiskFull,
    DockmgrError,
    LoginRefused,
    NotFoundOnEngine,
    OutOfReachError,
    PermanentError,
    RetryLater,
    TransientError,
    UntrustedRegistry,
)
from instances.operations.procedure import Work

logger = logging.getLogger(__name__)

SAID = "registry_said"  # the fact that holds a registry's own words
MOST_KEPT = 1000
# Errors in whose words the registry, or whatever is in its place, may speak.
ANSWERED = frozenset({NotFoundOnEngine, PermanentError, OutOfReachError, TransientError, RetryLater})


def fetch(work: Work, ref: str) -> ImageFacts:
    """The image a reference names in its registry now, or on the host where it is an id.

    Raises what `Engine.pull` and `login_for` do.
    """
    if is_id(ref):
        return _on_host(work, ref)
    login = login_for(ref)
    try:
        return _pulled(work, ref, login)
    except LoginRefused:
        raise LoginRefused(_refused(ref, login)) from None
    except UntrustedRegistry:
        raise UntrustedRegistry(_untrusted(work, ref)) from None
    except DiskFull:
        where = f"The disk of the engine of host {work.instance.host.name}"
        raise DiskFull(f"{where} is full: it has no room for the image {ref}.") from None


def _on_host(work: Work, image_id: str) -> ImageFacts:
    image = work.engine.image(image_id)
    if image is None:
        where = f"Host {work.instance.host.name} has no image {image_id[:19]}"
        raise NotFoundOnEngine(f"{where}, and no registry is asked for an id: name its repository as well.")
    return image


def _pulled(work: Work, ref: str, login: RegistryLogin | None) -> ImageFacts:
    """What a registry answers may be anything within reach of the host: it is kept for admins alone."""
    try:
        return work.engine.pull(ref, lambda _text: work.go_on(), login)
    except DockmgrError as error:
        if type(error) not in ANSWERED:
            raise
        said = work.redactor.text(str(error))
        logger.warning("The registry of %s said: %s", ref, said)
        work.journal.remember(**{SAID: said[:MOST_KEPT]})
        sentence = f"The image {ref} could not be had from registry {host_of(repository(ref))}."
        if isinstance(error, RetryLater):
            raise RetryLater(sentence, error.seconds) from None
        raise type(error)(sentence) from None


def _refused(ref: str, login: RegistryLogin | None) -> str:
    if login is None:
        host = host_of(repository(ref))
        return f"Registry {host} wants a login for {ref}, and none is known: add it to registries."
    whose = f"that of {login.username}" if login.username else "its token"
    return f"Registry {login.registry} refused the login for {ref}, {whose}: see test_registry."


def _untrusted(work: Work, ref: str) -> str:
    host = host_of(repository(ref))
    return (
        f"The engine of host {work.instance.host.name} does not trust the certificate of registry {host}: "
        f"put the file of who vouches for it at /etc/docker/certs.d/{host}/ca.crt there."
    )
