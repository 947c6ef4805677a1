"""The table of all that can be seen at the desk: which page, and for whom it is."""

from __future__ import annotations

from dataclasses import dataclass

from tests.web.desk_actions import ADMINS, NOBODY, STAFF, VIEWERS

Who = frozenset[str]


@dataclass(frozen=True)
class Rows:
    """The usual pages of a kind of row: who sees it, and who gets the forms that add, change and delete."""

    path: str
    which: str
    see: Who = VIEWERS
    add: Who = NOBODY
    edit: Who = NOBODY

    @property
    def pages(self) -> dict[str, Who]:
        one = f"{self.path}{{{self.which}}}/"
        return {
            self.path: self.see,
            f"{self.path}?q=c1&o=1": self.see,
            f"{one}change/": self.see,
            f"{one}history/": self.see,
            f"{self.path}add/": self.add,
            f"{one}delete/": self.edit,
        }


BEAT = "django_celery_beat/"
ROWS = (
    *(Rows(f"instances/{name}/", name) for name in ("instance", "incident", "notification", "mute", "bulk",
                                                    "operation", "sweep")),
    Rows("instances/healthcheck/", "check"),
    Rows("instances/pendingpurge/", "purge"),
    Rows("instances/auditentry/", "audit", see=ADMINS),
    Rows("instances/apitoken/", "token", see=ADMINS, add=ADMINS),
    *(Rows(f"instances/{name}/", f"spare_{name}", add=ADMINS, edit=ADMINS)
      for name in ("plan", "host", "channel", "registry")),
    Rows(f"{BEAT}periodictask/", "task", add=ADMINS, edit=ADMINS),
    Rows(f"{BEAT}intervalschedule/", "interval", add=ADMINS, edit=ADMINS),
    *(Rows(f"{BEAT}{name}schedule/", name, see=ADMINS, add=ADMINS, edit=ADMINS)
      for name in ("crontab", "clocked")),
    *(Rows(f"auth/{name}/", name, see=ADMINS, add=ADMINS, edit=ADMINS) for name in ("user", "group")),
)  # fmt: skip
COMPLETE = "autocomplete/?app_label=instances&term=&"
PAGES: dict[str, Who] = {
    **{page: who for rows in ROWS for page, who in rows.pages.items()},
    **{f"{rows.path}{{{rows.which}}}/": STAFF for rows in ROWS},  # leads on to the page that asks
    **{
        f"instances/{name}/{{{name}}}/live/": VIEWERS
        for name in ("instance", "incident", "bulk", "operation")
    },
    "instances/instance/{instance}/past/": VIEWERS,
    "instances/instance/dashboard/live/": VIEWERS,
    "auth/user/{user}/password/": ADMINS,
    "": STAFF,
    "search/?s=instances": STAFF,
    "instances/": VIEWERS,
    "django_celery_beat/": VIEWERS,
    "auth/": ADMINS,
    "jsi18n/": STAFF,
    "password_change/": STAFF,
    "password_change/done/": STAFF,
    f"{COMPLETE}model_name=instance&field_name=host": VIEWERS,
    f"{COMPLETE}model_name=apirequest&field_name=token": ADMINS,
    "autocomplete/?app_label=admin&model_name=logentry&field_name=user&term=": ADMINS,
}
# Nobody gets anything there, and what answers is not a matter of rights.
ELSEWHERE = ("login/", "logout/", "no/such/page/")
