"""Lists that stay quick, however many rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than 10,000 rows: a page costs the same however long a table has grown."""

    template_name = "desk/pagination.html"
    _rows: int | None = None

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return min(MOST_COUNTED, self._counted(rows))
        return len(rows)

    @cached_property
    def is_cut(self) -> bool:
        """Whether there are more rows than are counted, which the page must say."""
        rows = self.object_list
        return isinstance(rows, QuerySet) and self._counted(rows) > MOST_COUNTED

    def _counted(self, rows: QuerySet[Any]) -> int:
        if self._rows is None:
            self._rows = int(rows.order_by()[: MOST_COUNTED + 1].count())
        return self._rows


class DeskChangeList(ChangeList):
    """A list whose rows get more than their columns, asked for all of a page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        self.result_list = rows
        self.add_to(rows)

    def add_to(self, rows: Sequence[Any]) -> None:
        """Set what the list shows of the rows beside what they have."""
        raise NotImplementedError
