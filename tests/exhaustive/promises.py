"""What must hold in every life of a fleet, whatever happens in it."""

from __future__ import annotations

import logging
import uuid
from collections import Counter

from django.conf import settings
from hypothesis.stateful import invariant

from instances.incidents.rules import Severity
from instances.models import Health, Incident, Mute, Notification, Operation
from tests.exhaustive.havoc import Havoc


class Promises(Havoc):
    """Invariants, looked at after each thing that happened."""

    def _begin_to_look(self) -> None:
        self.worst: dict[int, int] = {}
        self.judged = 0
        self.told: dict[tuple[int, int | None], str] = {}
        self.heard: set[uuid.UUID] = set()
        self.defects = Defects()

    @invariant()
    def no_key_has_two_open_incidents(self) -> None:
        keys = Counter(Incident.objects.open().values_list("key", flat=True))
        assert all(number == 1 for number in keys.values()), keys

    @invariant()
    def severity_never_falls(self) -> None:
        for number, severity in Incident.objects.values_list("pk", "severity"):
            rank = Severity(severity).rank
            assert rank >= self.worst.get(number, 0)
            self.worst[number] = rank

    @invariant()
    def an_instance_is_down_exactly_while_its_incident_is_open(self) -> None:
        open_ones = Incident.objects.open().filter(kind="instance")
        told_down = set(open_ones.exclude(down_since=None).values_list("instance_id", flat=True))
        down = set(Health.objects.exclude(down_since=None).values_list("instance_id", flat=True))
        assert told_down == down

    @invariant()
    def what_does_not_help_is_not_restarted_more_often_than_the_budget(self) -> None:
        """No life lasts long enough for two slow attempts."""
        for incident in Incident.objects.filter(kind="instance"):
            own = Operation.objects.filter(
                customer_id=incident.customer_id, kind="restart", automatic=True,
                created_at__gte=incident.opened_at, created_at__lte=incident.resolved_at or self.world.now,
            )  # fmt: skip
            in_vain = own.exclude(facts__host_trouble=True).exclude(status="succeeded")
            assert in_vain.count() <= settings.RESTART_LIMIT + 1

    @invariant()
    def nothing_is_told_twice_in_a_row(self) -> None:
        fresh = Notification.objects.exclude(kind__in=("reminder", "digest")).exclude(pk__in=self.heard)
        for message in fresh.order_by("created_at"):
            self.heard.add(message.pk)
            place, said = (message.channel_id, message.incident_id), f"{message.kind} {message.level}"
            assert self.told.get(place) != said, (place, said)
            self.told[place] = said

    @invariant()
    def nothing_is_said_inside_a_mute(self) -> None:
        fresh = Notification.objects.exclude(incident=None).select_related("incident")
        for message in fresh.order_by("created_at")[self.judged :]:
            self.judged += 1
            assert message.incident is not None
            mutes = Mute.objects.filter(instance_id=message.incident.instance_id or 0)
            assert not mutes.filter(starts_at__lte=message.created_at, until__gt=message.created_at).exists()

    @invariant()
    def no_data_is_written_twice_and_no_image_runs_unasked(self) -> None:
        self.each_volume_has_one_writer()
        self.only_what_was_chosen_is_in_service()
        assert self.defects.seen == []

    always = (
        no_key_has_two_open_incidents, severity_never_falls,
        what_does_not_help_is_not_restarted_more_often_than_the_budget,
        an_instance_is_down_exactly_while_its_incident_is_open, nothing_is_told_twice_in_a_row,
        nothing_is_said_inside_a_mute, no_data_is_written_twice_and_no_image_runs_unasked,
    )  # fmt: skip


class Defects(logging.Handler):
    """What dockmgr logs of errors nobody had thought of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []
        logging.getLogger("instances").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or "Traceback" in record.getMessage():
            self.seen.append(self.format(record))

    def close(self) -> None:
        logging.getLogger("instances").removeHandler(self)
        super().close()
