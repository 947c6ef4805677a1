"""Pages that show and do not change, and pages whose changes are written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.views.decorators.http import require_safe
from unfold.views import ChangeList

from instances.admin import as_read, trail
from instances.admin.deleting import DeletingAdmin
from instances.admin.lists import BoundedPaginator
from instances.admin.views import View, behind
from instances.db.locks import lock_in_order
from instances.lib.storable import text

OVERTAKEN = "Somebody else changed the same just then, so nothing was done. Look before you send it again."
SAFE = ("GET", "HEAD")
MOST_SEARCHED = 200  # characters
Row = TypeVar("Row", bound=Model)
Column = Callable[[Any, Any], str]
Page = tuple[str, View, str]  # an address below the list's, what answers there, its name after the model's


def known(rows: QuerySet[Row], key: str) -> Row:
    """The row whose key is this part of an address. Raises Http404."""
    row = row_of(rows, key)
    if row is None:
        raise Http404(f"There is no such {rows.model._meta.verbose_name}.")
    return row


def row_of(rows: QuerySet[Row], key: str) -> Row | None:
    """The same; None where there is none."""
    return rows.filter(pk=key).first() if _can_be_key(rows.model, key) else None


def _can_be_key(model: type[Model], text: str) -> bool:
    try:
        model._meta.pk.clean(text, None)
    except ValidationError:
        return False
    return True


class DeskAdmin(DeletingAdmin):
    """A list of pages of 50, counted within bounds; edits go into the audit log with their reason."""

    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    list_filter_sheet = False
    change_list: ClassVar[type[ChangeList]] = ChangeList
    shown_instead: ClassVar[dict[str, str]] = {}  # what those see who may not change the field
    only_for_changes: ClassVar[tuple[str, ...]] = ("reason",)
    found_by: ClassVar[tuple[str, ...]] = ()  # conditions on what is typed, each answered from an index
    searched_in_small_letters: ClassVar[bool] = True
    when_empty: ClassVar[str] = ""  # how the list comes to have something

    def own_pages(self) -> Iterable[Page]:
        """Pages beside those of every list; whoever may not see the model comes to none of them."""
        return ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return self.change_list

    def get_urls(self) -> list[URLPattern]:
        model = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path(address, behind(self, view), name=f"{model}_{name}")
            for address, view, name in self.own_pages()
        ]
        return [*own, *super().get_urls()]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Whether a list may be filtered so: as its own filters do, by a value every database takes.

        Django would take any column and any path into JSON, which tells letter by letter what no page shows,
        and words that no database can answer.
        """
        filters = self.get_list_filter(request)
        known = {lookup for each in filters for lookup in self._lookups_of(each)}
        return lookup in known and value == text(value) and super().lookup_allowed(lookup, value, request)

    def _lookups_of(self, list_filter: Any) -> tuple[str, ...]:
        if not isinstance(list_filter, str):
            return (list_filter.parameter_name,)
        key = "__id" if self.opts.get_field(list_filter).is_relation else ""
        return f"{list_filter}{key}__exact", f"{list_filter}__isnull"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What is `found_by` the text, else what has all its words; of a long one the beginning counts."""
        if not self.found_by:
            rows, may_repeat = super().get_search_results(request, queryset, search_term[:MOST_SEARCHED])
            return rows, may_repeat
        term = search_term.strip().replace("\0", "")
        term = term.lower() if self.searched_in_small_letters else term
        found = Q(*((condition, term) for condition in self.found_by), _connector=Q.OR)
        return queryset.filter(found) if term else queryset, False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing: a form begins empty, whatever stands in its address."""
        return {}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A person who may only look sees no fields that exist for changing."""
        given = super().get_fieldsets(request, obj)
        if obj is None:
            return given
        if self.has_change_permission(request, obj):
            *others, (title, options) = given
            return [*others, (title, {**options, "fields": [*options["fields"], as_read.FIELD]})]
        return [(title, {**options, "fields": self._seen(options["fields"])}) for title, options in given]

    def _seen(self, fields: Sequence[Any]) -> list[str]:
        flat = [name for part in fields for name in ([part] if isinstance(part, str) else part)]
        return [self.shown_instead.get(name, name) for name in flat if name not in self.only_for_changes]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form; that of a change is told when it would undo what somebody else has changed meanwhile."""
        if change and self.has_change_permission(request, obj):
            kwargs = {"form": as_read.guarded(self.form), **kwargs}
        return super().get_form(request, obj, change=change, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; nobody else changes one that a form is sent for until that is done.

        A page without a transaction, such as that of a password, writes one column whatever the others are.
        """
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connection.in_atomic_block:
            return row
        lock_in_order(self.model._default_manager.filter(pk=row.pk))
        return super().get_object(request, object_id, from_field)

    def form_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """What the page of a row shows beside its form; the row may be gone."""
        return {}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        extra = {**(extra_context or {}), **self.form_context(request, object_id)}
        page: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return page

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """The form; what somebody else has just saved is told in a sentence."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:
            return _overtaken(request)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Asks before it deletes; what somebody else has just begun to use is told in a sentence."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            return _overtaken(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list; of what is selected on it, words that can't be keys of rows are left out."""
        if request.method == "POST":
            posted = request.POST.copy()
            chosen = posted.getlist(ACTION_CHECKBOX_NAME)
            posted.setlist(ACTION_CHECKBOX_NAME, [key for key in chosen if _can_be_key(self.model, key)])
            request.POST = posted  # type: ignore[assignment]
        extra_context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        if request.POST.get("action") != "delete_selected":
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic():  # or what was not deleted would be in the audit log
                return super().changelist_view(request, extra_context)
        except IntegrityError:
            return _overtaken(request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._note(request, "add", obj, "done")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._note(request, "change", obj, f"changed: {_fields(message)}")
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for obj in queryset:
            self._note(request, "delete", obj, "done")
        return super().log_deletions(request, queryset)

    def _note(self, request: HttpRequest, verb: str, obj: Any, outcome: str) -> None:
        reason = str(request.POST.get("reason", ""))
        trail.record(request, f"{verb} {self.opts.verbose_name}", str(obj), outcome, reason)


def _overtaken(request: HttpRequest) -> HttpResponse:
    messages.error(request, OVERTAKEN)
    return redirect(request.get_full_path())


def said(description: str, words: Callable[[Any], str], ordering: str | None = None) -> Column:
    """A column, or a field of a page for people who may only look; "-" where there are no words."""

    @admin.display(description=description, ordering=ordering)
    def column(_desk: Any, row: Any) -> str:
        return words(row) or "-"

    return column


def _fields(message: Any) -> str:
    """The names of the fields that changed, never their values."""
    if isinstance(message, str):
        return message
    names = [name for part in message for change in part.values() for name in change.get("fields", [])]
    return ", ".join(names) or "nothing"


class ReadOnlyAdmin(DeskAdmin):
    """Rows written by dockmgr itself: nobody adds, changes or deletes them by hand."""

    deleted_by_hand = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PageAdmin(ReadOnlyAdmin):
    """Rows that have a page of their own instead of a form, and maybe a part of it that changes by itself."""

    page_template: ClassVar[str]
    live_template: ClassVar[str] = ""

    def row(self, object_id: str) -> Any:
        """What the page is about. Raises Http404."""
        return known(self.model._default_manager.all(), object_id)

    def page_context(self, request: HttpRequest, row: Any, /) -> dict[str, Any]:
        """What the page shows, with a `title`, and a `desk_title` where its place in the menu says less."""
        raise NotImplementedError

    def live_context(self, request: HttpRequest, row: Any, /) -> dict[str, Any]:
        """What the page shows in the part that changes by itself."""
        return {}

    def own_pages(self) -> list[Page]:
        is_live = bool(self.live_template)
        return [("<str:object_id>/live/", require_safe(self.live_view), "live")] if is_live else []

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of the page that changes by itself, fetched again every few seconds."""
        live = self.live_context(request, self.row(object_id))
        return TemplateResponse(request, self.live_template, live)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page, for people who may see the model; it takes no input."""
        if not self.has_view_permission(request) or request.method not in SAFE:
            raise PermissionDenied
        row = self.row(object_id)
        site = {**self.admin_site.each_context(request), "opts": self.opts, "object": row}
        own = {**self.live_context(request, row), **self.page_context(request, row)}
        return TemplateResponse(request, self.page_template, {**site, "desk_title": own["title"], **own})
