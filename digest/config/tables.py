"""The tables of the configuration, their keys and what values they may have."""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from digest.core import mailbox
from digest.core.model import Channel

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _path(value: str, info: ValidationInfo[Path]) -> Path:
    """A path, relative to the file it stands in."""
    folder: Path = info.context
    return (folder / Path(value).expanduser()).resolve()


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):  # nothing of that name, a folder, a path out of the data
        near = difflib.get_close_matches(value, available_timezones(), n=1)
        raise ValueError(
            "there is no such time zone; "
            + (f"did you mean {near[0]}?" if near else "write one such as Europe/Berlin")
        ) from None
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", value):
        letters = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode().lower()
        example = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:64] or "me"
        raise ValueError(f'use a-z, 0-9 and -, at most 64 of them: name = "{example}"')
    return value


def _clock_time(value: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError('write a time as "07:00"')
    return time.fromisoformat(value)


def _mailbox(value: str) -> str:
    if not mailbox.parse(value).address.isascii():
        raise ValueError("an address with letters beyond ASCII is not supported")
    return value


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("write an address that begins with https:// or http://")
    urlsplit(value)  # refuses half an IPv6 address
    return value.rstrip("/")


def _proxy(value: str) -> str:
    if not re.fullmatch(r"(?:https?|socks5h?)://[^\s/?#@]+/?", value):
        raise ValueError(
            "write an address such as http://proxy.example.org:3128, without name and password: "
            "those are proxy_username and proxy_password"
        )
    return value


def _whole_url(value: str) -> str:
    """An address as somebody was given it, with its query and its last slash."""
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s#]*", value):
        raise ValueError("write an address that begins with https:// or http://")
    urlsplit(value)  # refuses half an IPv6 address
    return value


def _https_url(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("write an address that begins with https://")
    return _http_url(value)


PathValue = Annotated[str, AfterValidator(_path)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
ClockTime = Annotated[str, AfterValidator(_clock_time)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
OneOrMore = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[int, Field(gt=0, le=36_500)]  # a century: what is more would leave the calendar
Port = Annotated[int, Field(gt=0, lt=65536)]
Security = Literal["tls", "starttls", "none"]
Timeout = Annotated[float, Field(gt=0, le=3600, strict=False)]
Name = Annotated[str, AfterValidator(_name)]


class _Table(BaseModel):
    """A table of the file; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScheduleTable(_Table):
    """`[schedule]`: when digests are due, in local time."""

    at: Annotated[list[ClockTime], Field(min_length=1)] = ["07:00"]
    days: Annotated[list[Day], Field(min_length=1)] = list(DAYS)  # type: ignore[arg-type]


class CredentialTable(_Table):
    """Where a secret is kept; exactly one of these."""

    keyring: str | None = None
    env: str | None = None
    file: str | None = None
    command: list[str] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> CredentialTable:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name one place: keyring, env, file or command")
        return self


class OAuth2Table(_Table):
    """`[email.oauth2]`: an access token as it is, or what it takes to get one (RFC 6749, 6)."""

    token: CredentialTable | None = None
    token_url: Annotated[str, AfterValidator(_https_url)] | None = None
    client_id: Annotated[str, Field(min_length=1)] | None = None
    client_secret: CredentialTable | None = None
    refresh_token: CredentialTable | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> OAuth2Table:
        to_refresh = (self.token_url, self.client_id, self.refresh_token)
        others = (*to_refresh, self.client_secret, self.scope)
        if not (all(to_refresh) if self.token is None else not any(others)):
            raise ValueError("give token alone, or token_url, client_id and refresh_token")
        return self


class ImapTable(_Table):
    """`[email.imap]`: where to look whether a message has arrived."""

    host: Annotated[str, Field(min_length=1)]
    port: Port | None = None
    security: Security = "tls"
    username: str | None = None
    password: CredentialTable | None = None
    folder: Annotated[str, Field(min_length=1)] = "INBOX"

    @property
    def service_port(self) -> int:
        """The port, or the usual one (RFC 8314, 3.2; RFC 9051, 2.1)."""
        return self.port or (993 if self.security == "tls" else 143)


class EmailTable(_Table):
    """`[email]`: who sends, and by which way."""

    sender: Annotated[Mailbox, Field(alias="from")]
    transport: Literal["smtp", "sendmail", "maildir", "eml"] = "smtp"
    host: Annotated[str, Field(min_length=1)] | None = None
    port: Port | None = None
    security: Security | None = None
    username: str | None = None
    password: CredentialTable | None = None
    oauth2: OAuth2Table | None = None
    ca_file: PathValue | None = None
    timeout: Timeout | None = None
    command: Annotated[list[str], Field(min_length=1)] = ["/usr/sbin/sendmail", "-i"]
    folder: PathValue | None = None
    per_minute: Annotated[int, Field(gt=0)] | None = None
    per_run: Annotated[int, Field(gt=0)] | None = None
    per_day: Annotated[int, Field(gt=0)] | None = None
    imap: ImapTable | None = None
    when_uncertain: Literal["resend", "hold"] = "resend"
    when_empty: Literal["skip", "send"] = "skip"

    @model_validator(mode="after")
    def _fits_its_transport(self) -> EmailTable:
        for key in _NEEDED.get(self.transport, ()):
            if getattr(self, key) is None:
                raise ValueError(f'{key} is needed for transport = "{self.transport}"')
        for key in sorted(self.model_fields_set & _OF_TRANSPORTS.keys()):
            if self.transport not in _OF_TRANSPORTS[key]:
                raise ValueError(f'{key} means nothing for transport = "{self.transport}"')
        if self.oauth2 and self.password:
            raise ValueError("give password or oauth2, not both")
        if self.oauth2 and not self.username:
            raise ValueError("oauth2 needs a username")
        return self

    @property
    def service_port(self) -> int:
        """The port, or the usual one (RFC 8314, 3.3; RFC 6409, 3.1; RFC 5321, 4.5.4.2)."""
        return self.port or {"tls": 465, "starttls": 587, "none": 25}[self.security or "none"]


_NEEDED = {"smtp": ("host", "security"), "maildir": ("folder",), "eml": ("folder",)}

_OF_TRANSPORTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("host", "port", "security", "username", "password", "oauth2", "ca_file"), ("smtp",)),
    "imap": ("smtp", "sendmail"),
    "timeout": ("smtp", "sendmail"),
    "command": ("sendmail",),
    "folder": ("maildir", "eml"),
}


def _plain_url(value: object) -> object:
    return {"plain": value} if isinstance(value, str) else value


class UrlTable(CredentialTable):
    """An address, or where it is kept if nobody else may know it."""

    plain: Annotated[str, AfterValidator(_whole_url)] | None = None


class WebhookTable(_Table):
    """`[[webhooks]]`: an address that takes JSON."""

    name: Name
    url: Annotated[UrlTable, BeforeValidator(_plain_url)]
    form: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = "json"
    values: dict[str, Any] = {}


class FeedsTable(_Table):
    """`[feeds]`."""

    base_url: HttpUrl | None = None
    formats: Annotated[list[Literal["rss", "atom", "json"]], Field(min_length=1)] = ["rss", "atom", "json"]
    entries: Annotated[int, Field(gt=0, le=1000)] = 100
    entry: Literal["paper", "digest"] = "paper"
    per_interest: bool = False

    @property
    def address(self) -> str:
        """Where feeds are found: unless it is said, at `digest serve`, because a feed must name itself."""
        return self.base_url or "http://127.0.0.1:8470"


class ServeTable(_Table):
    """`[serve]`: where `digest serve` can be reached from outside, through a proxy."""

    base_url: HttpUrl | None = None


class NetworkTable(_Table):
    """`[network]`: the way to the sites that are read."""

    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    proxy_username: str | None = None
    proxy_password: CredentialTable | None = None
    no_proxy: list[str] = []
    ca_file: PathValue | None = None
    timeout: Timeout = 60.0

    @model_validator(mode="after")
    def _whole(self) -> NetworkTable:
        if self.proxy is None and (self.proxy_username or self.proxy_password or self.no_proxy):
            raise ValueError("proxy_username, proxy_password and no_proxy need a proxy")
        if self.proxy_password and not self.proxy_username:
            raise ValueError("proxy_password needs a proxy_username")
        return self


class SourceTable(BaseModel):
    """`[[sources]]`: its other keys are the parameters of the kind's class."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    kind: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)] | None = None


class RootTable(_Table):
    """`digest.toml`."""

    timezone: TimeZone | None = None
    data_dir: PathValue | None = None
    output_dir: PathValue | None = None
    templates: PathValue | None = None
    database: str | None = None
    contact: str | None = None
    profiles: OneOrMore = ["profiles/*.toml"]
    ranker: Annotated[str, Field(min_length=1)] = "words"
    schedule: ScheduleTable | None = None
    sources: Annotated[list[SourceTable], Field(min_length=1)]
    email: EmailTable | None = None
    webhooks: list[WebhookTable] = []
    feeds: FeedsTable = FeedsTable()
    serve: ServeTable = ServeTable()
    network: NetworkTable = NetworkTable()


class InterestTable(_Table):
    """`[[interests]]`."""

    name: Annotated[str, Field(min_length=1)]
    keywords: list[str] = []
    require: list[str] = []
    exclude: list[str] = []
    authors: list[str] = []
    categories: list[str] = []
    query: str | None = None
    weight: Positive = 1.0
    max_papers: Annotated[int, Field(gt=0)] | None = None
    pin: list[str] = []
    ban: list[str] = []


class ProfileTable(_Table):
    """`profiles/*.toml`."""

    name: Name
    title: str | None = None
    timezone: TimeZone | None = None
    schedule: ScheduleTable | None = None
    sources: list[str] = []
    recipients: list[Mailbox] = []
    webhooks: list[str] = []
    channels: Annotated[list[Channel], Field(min_length=1)] | None = None
    max_papers: Annotated[int, Field(gt=0)] = 30
    overflow: Literal["list", "carry"] = "list"
    min_score: Positive | None = None
    max_age_days: Days | None = None
    lookback_days: Days = 3
    near_misses: Annotated[int, Field(ge=0)] = 5
    related: Annotated[int, Field(ge=0)] = 5
    second_look: Annotated[int, Field(ge=0)] = 3
    interests: Annotated[list[InterestTable], Field(min_length=1)]
