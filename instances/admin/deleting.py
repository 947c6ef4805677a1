"""What goes when a row is deleted at the desk, and what stays because something uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest
from django.utils.text import get_text_list
from unfold.admin import ModelAdmin

from instances.db.locks import lock_in_order
from instances.models.instance import InstanceQuerySet

MOST_NAMED = 5
Deleted = tuple[list[Any], dict[str, int], set[str], list[Any]]


class DeletingAdmin(ModelAdmin):
    """Rows that nobody deletes by hand go with what they are about; what is in use stays."""

    deleted_by_hand: ClassVar[bool] = True

    def users_of(self, row: Any) -> Iterator[str]:
        """What uses the row, so that it can't be deleted: "one instance uses it (c1)"."""
        yield from ()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deleted:
        """What is deleted, how many of each kind, which permissions lack, and why some can't be deleted."""
        kept = [sentence for row in objs if (sentence := self._kept(row))]
        if kept:
            return [], {}, set(), kept
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, lacking - self._never_by_hand(), protected

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Rows are locked before what goes with them, as by whoever changes them."""
        keys = list(queryset.values_list("pk", flat=True))
        with transaction.atomic():
            lock_in_order(self.model._default_manager.filter(pk__in=keys))
            super().delete_queryset(request, queryset)

    def _kept(self, row: Any) -> str:
        users = list(self.users_of(row))
        words = get_text_list(users, "and")
        return f"The {self.opts.verbose_name} {row} can't be deleted: {words}." if users else ""

    def _never_by_hand(self) -> set[str]:
        """Kinds of rows that nobody may delete alone, so that no permission says anything of them."""
        by_us = [
            model
            for model, own in self.admin_site._registry.items()
            if not getattr(own, "deleted_by_hand", True)
        ]
        return {str(model._meta.verbose_name) for model in by_us}


def instances_among(rows: InstanceQuerySet) -> Iterator[str]:
    """Those of the instances that use something now, and those whose record does."""
    present = rows.present().order_by("customer_id")
    number, names = present.count(), list(present.values_list("customer_id", flat=True)[:MOST_NAMED])
    if number:
        verb = "instance uses" if number == 1 else "instances use"
        yield f"{number} {verb} it ({_named(names, number)})"
    past = rows.exclude(decommissioned_at=None).count()
    if past:
        noun = "instance that is" if past == 1 else "instances that are"
        yield f"it stays in the record of {past} {noun} decommissioned"


def _named(names: Sequence[str], number: int) -> str:
    more = f" and {number - len(names)} more" if number > len(names) else ""
    return f"{', '.join(names)}{more}"
