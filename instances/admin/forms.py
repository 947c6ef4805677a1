"""Forms of hosts, plans and channels: judged by the rules of the fleet file, saved with a reason."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from pydantic import BaseModel, ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from instances.admin.form_fields import LogAlertsField, SizeField, WordsDocumentField, WordsField
from instances.admin.form_words import ChannelWords, HostWords, PlanWords
from instances.admin.verbs import REASON_LENGTH
from instances.containers import image_policy, log_alerts
from instances.containers.log_alerts import LogAlert
from instances.containers.options import WORDS, Options, conflicts
from instances.errors import UnreadableSecret
from instances.fleet.accept import same_address, way_refused
from instances.fleet.channel_entry import ChannelEntry, time_zone
from instances.fleet.channel_fit import USELESS, is_useless, misfits
from instances.fleet.entry import shown
from instances.fleet.file import HostEntry, RegistryEntry, Ssh, Tls
from instances.fleet.plan_entry import PlanEntry
from instances.health.question import Question, conflict
from instances.models import Host
from instances.operations.validate import timing_bounds

FITS_ANYTHING = "json://unreadable"
NAME_STAYS = "Channels, API tokens and fleet files know it by its name, which stays as it is."
UNREADABLE_URL = "The present URL can't be decrypted: type it again, or switch the channel off."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


class FleetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose values must pass as an entry of a fleet file; `entry` is what judges them."""

    entry: ClassVar[type[BaseModel]]
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        required=False,
        help_text="Recorded in the audit log.",
        widget=UnfoldAdminTextInputWidget,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            self._judge(self.document(dict(cleaned)))
        return cleaned

    def document(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """The form's values as an entry of a fleet file."""
        known = set(self.entry.model_fields)
        return {name: value for name, value in cleaned.items() if name in known}

    def _judge(self, document: dict[str, Any]) -> None:
        try:
            self.entry.model_validate(document, context=timing_bounds())
        except ValidationError as refusal:
            for error in refusal.errors(include_url=False, include_input=False, include_context=False):
                self._complain(error["loc"], error["msg"].removeprefix("Value error, "))

    def _complain(self, place: tuple[int | str, ...], message: str) -> None:
        name = str(place[0]) if place else ""
        if name in WORDS and "options" in self.fields:
            self.add_error("options", f"{'.'.join(map(shown, place))} {message}.")
        else:
            inside = ".".join(shown(part) for part in place[1:] if isinstance(part, str))
            words = f"{inside}: {message}" if inside else message
            self.add_error(name if name in self.fields else NON_FIELD_ERRORS, words)


class NamedForm(FleetForm):
    """What channels and tokens are limited to by its name: renamed, it would be none of theirs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and "name" in self.fields:
            self.fields["name"].widget.attrs["readonly"] = True
            self.fields["name"].help_text = NAME_STAYS

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if self.instance.pk is not None and name != self.instance.name:
            raise forms.ValidationError(NAME_STAYS)
        return name


class HostForm(NamedForm):
    """A host whose engine is that of another one in use is refused."""

    entry = HostEntry
    Meta = HostWords
    tls = WordsDocumentField(
        frozenset(Tls.model_fields),
        required=False,
        label="TLS",
        help_text="For tcp://: ca, cert and key, each on a line with the path of a file on the workers.",
    )
    ssh = WordsDocumentField(
        frozenset(Ssh.model_fields),
        required=False,
        label="SSH",
        help_text="For ssh://: key and known_hosts, in the same way. "
        "Empty: the files of the workers' account.",
    )
    max_memory = SizeField(
        required=False,
        label="Memory to promise",
        help_text="Such as 64g: what the plans of its instances may allow them together, times overcommit.",
    )

    def clean_tls(self) -> dict[str, Any] | None:
        return self.cleaned_data["tls"] or None

    def clean_ssh(self) -> dict[str, Any] | None:
        return self.cleaned_data["ssh"] or None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if {"docker_url", "tls"} <= cleaned.keys():
            way = {name: cleaned.get(name) for name in ("docker_url", "tls", "insecure")}
            words, other = way_refused(Host(**way)), same_address(Host(pk=self.instance.pk, **way))
            if words:
                self.add_error("docker_url", _sentence(words))
            elif other is not None:
                self.add_error("docker_url", f"This is the engine of host {other.name}.")
        return cleaned


class PlanForm(NamedForm):
    """The shared environment has a form of its own."""

    entry = PlanEntry
    Meta = PlanWords
    memory = SizeField(label="Memory", help_text="Such as 512m or 2g.")
    disk = SizeField(
        required=False,
        label="Disk",
        help_text="Such as 10g: above it, in volumes and container together, there is a warning.",
    )
    images = WordsField(
        required=False,
        label="Images that may be run",
        help_text="Repositories, or images with their tag or digest, one on each line. Empty: the repository "
        "of the plan's own image.",
    )
    required_env = WordsField(
        required=False,
        label="Required variables",
        help_text="Names of environment variables an instance must have, one on each line.",
    )
    options = WordsDocumentField(
        WORDS,
        required=False,
        label="Container options",
        help_text="One option on each line, as Compose takes them: command, user, volumes, ports, tmpfs, …",
    )
    health = WordsDocumentField(
        frozenset(Question.model_fields) - {"path", "expect", "headers"},
        required=False,
        label="Health question",
        help_text="kind (http, https, tcp, docker or none), port, host, status, tls_verify; headers are set "
        "by the fleet file.",
    )
    log_alerts = LogAlertsField(
        required=False,
        label="Log alerts",
        help_text='Such as - {match: "ERROR .* quota exceeded", more_than: 5, within: 10m}: told when more '
        "lines than that match in that time.",
    )

    def document(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        own = {"data_path": cleaned.get("data_path") or None}
        return {**cleaned.get("options", {}), **super().document(cleaned), **own}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and "images" in cleaned:
            found = image_policy.outside(cleaned.get("image") or "", cleaned["images"])
            if found:
                self.add_error("images", _sentence(found))
        if not self.errors and "options" in cleaned:
            options = Options.model_validate(cleaned["options"])
            for found in conflicts(options, cleaned.get("data_path"), cleaned.get("container_port", 0)):
                self.add_error("options", _sentence(found))
            cleaned["options"] = options.document()
            alerts = [LogAlert.model_validate(each) for each in cleaned.get("log_alerts") or []]
            cleaned["log_alerts"] = log_alerts.documents(alerts)
            unread = log_alerts.conflict(alerts, options.logging.driver)
            if unread:
                self.add_error("log_alerts", _sentence(unread))
            cleaned["health"] = Question.model_validate(cleaned.get("health") or {}).document()
            unasked = conflict(cleaned["health"], cleaned.get("container_port", 0), options.ports)
            if unasked:
                self.add_error("health", _sentence(unasked))
        return cleaned

    def save(self, commit: bool = True) -> Any:
        self.instance.data_path = self.cleaned_data.get("data_path") or None
        return super().save(commit)


class ChannelForm(FleetForm):
    """The URL holds credentials: it can be set and replaced, and is never shown."""

    entry = ChannelEntry
    Meta = ChannelWords
    new_url = forms.CharField(
        label="URL",
        required=False,
        help_text="An Apprise URL such as json://host/path.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
    )
    hosts = WordsField(required=False, help_text="Names of hosts; empty for all.")
    plans = WordsField(required=False, help_text="Names of plans; empty for all.")
    customers = WordsField(required=False, help_text="Customer ids; empty for all.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and "new_url" in self.fields:
            self.fields["new_url"].help_text += " Empty: the present one stays."

    def document(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        quiet = {"from": cleaned.get("quiet_from"), "to": cleaned.get("quiet_to")}
        hours = {name: value.strftime("%H:%M") for name, value in quiet.items() if value}
        known = ("name", "min_level", "hosts", "plans", "customers", "escalate_after", "enabled")
        document = {name: cleaned[name] for name in known if name in cleaned}
        document["events"] = [name for name in ("incidents", "operations") if cleaned.get(name)]
        document["url"] = self._url(cleaned)
        if hours:
            document["quiet_hours"] = {**hours, "timezone": cleaned.get("timezone") or "UTC"}
        return document

    def _url(self, cleaned: dict[str, Any]) -> str:
        """What is typed, else the present URL; one that can't be decrypted must not keep the channel on."""
        try:
            return cleaned.get("new_url") or self.instance.url or ""
        except UnreadableSecret:
            return FITS_ANYTHING

    def clean_new_url(self) -> str:
        url: str = self.cleaned_data["new_url"]
        if url and is_useless(url):
            raise forms.ValidationError(_sentence(USELESS))
        return url

    def clean_timezone(self) -> str:
        try:
            return time_zone(self.cleaned_data["timezone"])
        except ValueError as error:
            raise forms.ValidationError(f"It {error}.") from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            url = self._url(cleaned)
            if url is FITS_ANYTHING and cleaned.get("enabled"):
                self.add_error("new_url", UNREADABLE_URL)
            of_others = [cleaned.get(name) or [] for name in ("hosts", "plans")]
            for name, words in misfits(url, bool(cleaned.get("operations")), *of_others):
                self.add_error(name, words)
        return cleaned

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("new_url"):
            self.instance.url = self.cleaned_data["new_url"]
        if self.instance.enabled:
            self.instance.disabled_reason = ""
        return super().save(commit)


class RegistryForm(FleetForm):
    """The password can be set and replaced, and is never shown."""

    entry = RegistryEntry
    new_password = forms.CharField(
        label="Password",
        required=False,
        strip=False,
        help_text="Leave empty to keep the present one. A token file or a helper takes its place.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
    )

    def document(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return {**super().document(cleaned), "password": cleaned.get("new_password") or ""}

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("new_password"):
            self.instance.password = self.cleaned_data["new_password"]
        elif self.cleaned_data.get("token_file") or self.cleaned_data.get("helper"):
            self.instance.password = None
        return super().save(commit)
