"""Services that keep incidents of their own: messages about one of ours share a key, its end ends theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from instances.documents import Document

OVER = frozenset({"resolved", "recovered", "summary"})
Post = Callable[[Any, str, Document], bool]  # a plugin, what comes behind the service's address, the body


@dataclass(frozen=True)
class Pager:
    """`key` is the plugin's attribute for what messages share.

    With `closes_by_key` the plugin ends only what the same process has opened, so it is done by the key.
    """

    key: str
    closes_by_key: bool = False


PAGERS = {
    "pagerduty": Pager("dedup"),
    "incidentio": Pager("dedup"),
    "squadcast": Pager("dedup"),
    "pagertree": Pager("thirdparty"),
    "splunk": Pager("entity_id"),
    "victorops": Pager("entity_id"),
    "opsgenie": Pager("alias", closes_by_key=True),
    "jira": Pager("alias", closes_by_key=True),
}


def pager_of(url: str) -> Pager | None:
    """How the service of an Apprise URL knows incidents; None for one that does not."""
    return PAGERS.get(url.partition("://")[0].strip().lower())


def is_over(document: Document) -> bool:
    """Whether the message says that the trouble has passed."""
    return document["kind"] in OVER


def identify(plugin: Any, pager: Pager, document: Document, post: Post) -> None:
    """Have the plugin's next message open, or end, the service's own incident `dockmgr-<incident id>`.

    A key or an action that stands in the channel's URL is kept.
    """
    if document["incident_id"] is None or _is_chosen(plugin, pager):
        return
    key = f"dockmgr-{document['incident_id']}"
    setattr(plugin, pager.key, key)
    if not pager.closes_by_key:
        plugin.action = "map"  # a success ends what anything else opens
    elif is_over(document):
        plugin.send = lambda body, **_: post(
            plugin, f"{key}/close", {"source": plugin.app_desc, "note": body}
        )


def _is_chosen(plugin: Any, pager: Pager) -> bool:
    if plugin.action != type(plugin).template_args["action"]["default"]:
        return True
    of_service = f"{plugin.app_id}/{plugin.routing_key}" if pager.key == "entity_id" else None
    return getattr(plugin, pager.key) not in (None, of_service)
