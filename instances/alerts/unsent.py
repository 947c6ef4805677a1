"""Messages of the outbox that wait for their channel."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from instances.models import Channel, Notification

UNSENT = Q(sent_at=None, given_up_at=None)
LOST = Q(sent_at=None, given_up_at__isnull=False)


def unsent(channel: Channel) -> QuerySet[Notification]:
    """What waits for the channel, the parts of a digest among it."""
    return Notification.objects.filter(UNSENT, channel=channel)


def levels(rows: QuerySet[Notification]) -> list[str]:
    """Levels of the messages as they would go out, a digest being one."""
    return list(rows.filter(digest=None).values_list("level", flat=True))
