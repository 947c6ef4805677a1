"""Services that keep incidents of their own: messages about one of ours share a key, its end ends theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from instances.alerts.rules import ACKNOWLEDGED
from instances.documents import Document
from instances.errors import DockmgrError
from instances.models import Channel

OVER = frozenset({"resolved", "recovered", "summary"})
Post = Callable[[Any, str, Document], bool]  # a plugin, what comes behind the service's address, the body


@dataclass(frozen=True)
class Pager:
    """`key` is the plugin's attribute for what messages share.

    With `closes_by_key` the plugin ends only what the same process has opened, so it is done by the key.
    `seen` is the plugin's action for what was acknowledged, where it has one; with `seen_by_event` there
    is none, and the service is told by an event of our own.
    """

    key: str
    closes_by_key: bool = False
    seen: str = ""
    seen_by_event: bool = False

    @property
    def acknowledges(self) -> bool:
        """Whether the service takes that somebody has seen an incident."""
        return bool(self.seen or self.seen_by_event or self.closes_by_key)


PAGERS = {
    "pagerduty": Pager("dedup", seen_by_event=True),
    "incidentio": Pager("dedup"),
    "squadcast": Pager("dedup"),
    "pagertree": Pager("thirdparty", seen="acknowledge"),
    "ilert": Pager("dedup", seen="acknowledge"),
    "signl4": Pager("external_id", seen="acknowledge"),
    "firehydrant": Pager("dedup"),
    "goalert": Pager("dedup"),
    "goalerts": Pager("dedup"),
    "splunk": Pager("entity_id", seen="acknowledgement"),
    "victorops": Pager("entity_id", seen="acknowledgement"),
    "opsgenie": Pager("alias", closes_by_key=True),
    "jira": Pager("alias", closes_by_key=True),
}


def pager_of(url: str) -> Pager | None:
    """How the service of an Apprise URL knows incidents; None for one that does not."""
    return PAGERS.get(url.partition("://")[0].strip().lower())


def pager_at(channel: Channel) -> Pager | None:
    """As `pager_of`, of where a channel leads; None as well where that can't be read.

    An attempt to send will tell of a URL that can't be decrypted; a channel deleted meanwhile hears nothing.
    """
    try:
        return pager_of(channel.url)
    except (DockmgrError, Channel.DoesNotExist):
        return None


def is_over(document: Document) -> bool:
    """Whether the message says that the trouble has passed."""
    return document["kind"] in OVER


def identify(plugin: Any, pager: Pager, document: Document, post: Post) -> None:
    """Have the plugin's next message open, acknowledge or end the service's own incident.

    That is `dockmgr-<incident id>`. A key or an action that stands in the channel's URL is kept.
    """
    if document["incident_id"] is None or _is_chosen(plugin, pager):
        return
    key, seen = f"dockmgr-{document['incident_id']}", document["kind"] == ACKNOWLEDGED
    setattr(plugin, pager.key, key)
    if pager.closes_by_key:
        ending = "acknowledge" if seen else "close" if is_over(document) else ""
        if ending:
            note = {"source": plugin.app_desc}
            plugin.send = lambda body, **_: post(plugin, f"{key}/{ending}", {**note, "note": body})
    elif seen and pager.seen_by_event:
        event = {"routing_key": plugin.integration_key, "event_action": "acknowledge", "dedup_key": key}
        plugin.send = lambda body, **_: post(plugin, "", event)
    else:
        plugin.action = pager.seen if seen and pager.seen else "map"  # success ends what all else opens


def _is_chosen(plugin: Any, pager: Pager) -> bool:
    if plugin.action != type(plugin).template_args["action"]["default"]:
        return True
    of_service = f"{plugin.app_id}/{plugin.routing_key}" if pager.key == "entity_id" else None
    return getattr(plugin, pager.key) not in (None, of_service)
