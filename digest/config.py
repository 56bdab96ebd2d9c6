"""The configuration: TOML to checked, frozen values.

Whatever is wrong is said with file and line, the path of the key, and the nearest key or value that
would be right. Values are never repeated in messages, since one of them might be a secret.
"""

from __future__ import annotations

import difflib
import glob
import inspect
import re
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import available_timezones

import platformdirs
import tzlocal
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from digest.core import mailbox
from digest.core.model import Channel, Interest, Limits, Profile, Schedule
from digest.core.query import compile_interest
from digest.errors import ConfigError, QueryError
from digest.ports import Secret

T = TypeVar("T")
Key = str | int
_SECRETS = ("password", "proxy_password", "key", "token")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


# --- values -----------------------------------------------------------------------------------


def _path(value: str, info: ValidationInfo[Path]) -> Path:
    """A path, relative to the file it stands in."""
    folder: Path = info.context
    return (folder / Path(value).expanduser()).resolve()


def _timezone(value: str) -> str:
    if value not in available_timezones():
        near = difflib.get_close_matches(value, available_timezones(), n=1)
        raise ValueError("there is no such time zone" + (f"; did you mean {near[0]}?" if near else ""))
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
    return value.rstrip("/")


def _proxy(value: str) -> str:
    if not re.fullmatch(r"(?:https?|socks5h?)://[^\s/?#@]+/?", value):
        raise ValueError(
            "write an address such as http://proxy.example.org:3128, without name and password: "
            "those are proxy_username and proxy_password"
        )
    return value


PathValue = Annotated[str, AfterValidator(_path)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
ClockTime = Annotated[str, AfterValidator(_clock_time)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
OneOrMore = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[int, Field(gt=0, le=36_500)]  # a century: what is more would leave the calendar
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class _Table(BaseModel):
    """A table of the file; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScheduleTable(_Table):
    """`[schedule]`: when digests are due, in local time."""

    at: Annotated[list[ClockTime], Field(min_length=1)] = ["07:00"]
    days: Annotated[list[Day], Field(min_length=1)] = list(_DAYS)  # type: ignore[arg-type]


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


class EmailTable(_Table):
    """`[email]`: who sends, and through which server."""

    sender: Annotated[Mailbox, Field(alias="from")]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    security: Literal["tls", "starttls", "none"]
    username: str | None = None
    password: CredentialTable | None = None
    ca_file: PathValue | None = None
    timeout: Annotated[float, Field(gt=0, strict=False)] = 60.0
    when_uncertain: Literal["resend", "hold"] = "resend"
    when_empty: Literal["skip", "send"] = "skip"

    @property
    def service_port(self) -> int:
        """The port, or the usual one (RFC 8314, 3.3; RFC 6409, 3.1; RFC 5321, 4.5.4.2)."""
        return self.port or {"tls": 465, "starttls": 587, "none": 25}[self.security]


class FeedsTable(_Table):
    """`[feeds]`."""

    base_url: HttpUrl | None = None
    formats: Annotated[list[Literal["rss", "atom", "json"]], Field(min_length=1)] = ["rss", "atom", "json"]
    entries: Annotated[int, Field(gt=0, le=1000)] = 100


class NetworkTable(_Table):
    """`[network]`: the way to the sites that are read."""

    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    proxy_username: str | None = None
    proxy_password: CredentialTable | None = None
    no_proxy: list[str] = []
    ca_file: PathValue | None = None
    timeout: Annotated[float, Field(gt=0, strict=False)] = 60.0

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
    schedule: ScheduleTable | None = None
    sources: Annotated[list[SourceTable], Field(min_length=1)]
    email: EmailTable | None = None
    feeds: FeedsTable = FeedsTable()
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


class ProfileTable(_Table):
    """`profiles/*.toml`."""

    name: Name
    title: str | None = None
    timezone: TimeZone | None = None
    schedule: ScheduleTable | None = None
    sources: list[str] = []
    recipients: list[Mailbox] = []
    channels: Annotated[list[Channel], Field(min_length=1)] | None = None
    max_papers: Annotated[int, Field(gt=0)] = 30
    overflow: Literal["list", "carry"] = "list"
    min_score: Positive | None = None
    max_age_days: Days | None = None
    lookback_days: Days = 3
    near_misses: Annotated[int, Field(ge=0)] = 5
    related: Annotated[int, Field(ge=0)] = 5
    interests: Annotated[list[InterestTable], Field(min_length=1)]


# --- results ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A source to build: the class that `kind` names is called with `settings`."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    file: Document
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked."""

    path: Path
    timezone: str
    data_dir: Path
    output_dir: Path
    templates: Path | None
    database: str
    contact: str | None
    sources: tuple[SourceConfig, ...]
    email: EmailTable | None
    feeds: FeedsTable
    network: NetworkTable
    profiles: tuple[Profile, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file and where its keys stand."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[tuple[Key, ...], int]

    def place(self, keys: Sequence[Key]) -> str:
        """`file:line` of a key, or of the nearest table around it."""
        for length in range(len(keys), 0, -1):
            line = self.lines.get(tuple(keys[:length]))
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


# --- reading ----------------------------------------------------------------------------------


def find(explicit: str | None, environ: Mapping[str, str]) -> Path:
    """The configuration file that is meant. Raises ConfigError when there is none."""
    if explicit or environ.get("DIGEST_CONFIG"):
        path = Path(explicit or environ["DIGEST_CONFIG"]).expanduser()
        if path.is_dir():
            path /= "digest.toml"
        if not path.is_file():
            raise ConfigError("there is no such file", place=str(path), remedy="`digest init` writes one.")
        return path
    candidates = [Path("config/digest.toml"), platformdirs.user_config_path("digest") / "digest.toml"]
    for path in candidates:
        if path.is_file():
            return path
    raise ConfigError(
        f"there is no configuration: neither {candidates[0]} nor {candidates[1]}",
        remedy="`digest init` writes one; `digest demo` runs without.",
    )


def load(path: Path) -> Config:
    """Read a configuration and its profiles. Raises ConfigError."""
    document = read_document(path)
    folder = path.resolve().parent
    root = _checked(RootTable, document, folder)
    timezone = root.timezone or tzlocal.get_localzone_name()
    data_dir = Path(root.data_dir or platformdirs.user_data_path("digest"))
    sources = tuple(
        SourceConfig(
            table.kind, table.name or table.kind, table.model_extra or {}, document, ("sources", number)
        )
        for number, table in enumerate(root.sources)
    )
    names = [source.name for source in sources]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigError(
                f"two sources are called {name!r}",
                place=document.place(("sources", number)),
                remedy='Give one of them another name: name = "…".',
            )
    profiles = tuple(
        _profile(read_document(file), root, timezone, names)
        for file in _profile_files(root, document, folder)
    )
    for number, profile in enumerate(profiles):
        if profile.name in {other.name for other in profiles[:number]}:
            raise ConfigError(
                f"two profiles are called {profile.name!r}", place=str(path), remedy="Rename one of them."
            )
    return Config(
        path=path,
        timezone=timezone,
        data_dir=data_dir,
        output_dir=Path(root.output_dir or data_dir / "public"),
        templates=None if root.templates is None else Path(root.templates),
        database=root.database or f"sqlite:///{data_dir / 'digest.db'}",
        contact=root.contact,
        sources=sources,
        email=root.email,
        feeds=root.feeds,
        network=root.network,
        profiles=profiles,
    )


def load_profile(path: Path, timezone: str = "UTC", sources: Sequence[str] = ()) -> Profile:
    """Read one profile without a configuration around it; it then delivers to files alone."""
    return _profile(read_document(path), None, timezone, sources)


def read_document(path: Path) -> Document:
    """Read a TOML file. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"byte {error.start} is not UTF-8", place=str(path), remedy="Save the file as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        # What the parser says may quote the line, but never a whole value.
        raise ConfigError(f"this is not TOML: {error}", place=place) from error
    return Document(path, values, _lines(text))


_TABLE = re.compile(r"\s*(\[\[|\[)\s*([^\]]+?)\s*\]")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def _lines(text: str) -> dict[tuple[Key, ...], int]:
    """The line of every key, as far as one key stands on a line."""
    lines: dict[tuple[Key, ...], int] = {}
    table: tuple[Key, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _TABLE.match(line):
            keys = tuple(part.strip().strip("\"'") for part in found[2].split("."))
            if found[1] == "[[":
                counts[found[2]] = counts.get(found[2], -1) + 1
                table = (*keys, counts[found[2]])
            else:
                table = keys
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault((*table, *(part.strip().strip("\"'") for part in found[1].split("."))), number)
    return lines


def _profile_files(root: RootTable, document: Document, folder: Path) -> list[Path]:
    files: list[Path] = []
    for pattern in root.profiles:
        absolute = str(folder / Path(pattern).expanduser())
        files += [Path(name) for name in sorted(glob.glob(absolute))]  # noqa: PTH207 - a pattern may be absolute
    if not files:
        raise ConfigError(
            f"no profile is there: {', '.join(root.profiles)} matches no file in {folder}",
            place=document.place(("profiles",)),
            remedy="Write one file per person; config/profiles/swin.toml is an example.",
        )
    return files


def _profile(document: Document, root: RootTable | None, timezone: str, sources: Sequence[str]) -> Profile:
    table = _checked(ProfileTable, document, document.path.parent)
    for number, interest in enumerate(table.interests):
        _check_interest(interest, document, ("interests", number))
        if interest.name in {other.name for other in table.interests[:number]}:
            raise ConfigError(
                f"interests: two are called {interest.name!r}",
                place=document.place(("interests", number, "name")),
                remedy="Rename one of them, or put their keywords together.",
            )
    for name in table.sources:
        if name not in sources:
            near = difflib.get_close_matches(name, sources, n=1)
            raise ConfigError(
                f"sources: no source is called {name!r}",
                place=document.place(("sources",)),
                remedy=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(sources) or 'none'}.",
            )
    schedule = table.schedule or (root.schedule if root else None)
    return Profile(
        name=table.name,
        title=table.title or table.name,
        interests=tuple(
            Interest(
                name=interest.name,
                keywords=tuple(interest.keywords),
                require=tuple(interest.require),
                exclude=tuple(interest.exclude),
                authors=tuple(interest.authors),
                categories=tuple(interest.categories),
                query=interest.query,
                weight=interest.weight,
                max_papers=interest.max_papers,
            )
            for interest in table.interests
        ),
        recipients=tuple(table.recipients),
        sources=tuple(table.sources or sources),
        channels=_channels(table, root, document),
        schedule=None
        if schedule is None
        else Schedule(
            at=tuple(sorted(time.fromisoformat(str(at)) for at in schedule.at)),
            days=tuple(sorted({_DAYS.index(day) for day in schedule.days})),
            timezone=table.timezone or timezone,
        ),
        limits=Limits(
            max_papers=table.max_papers,
            overflow=table.overflow,
            min_score=table.min_score or 0.0,
            max_age_days=table.max_age_days,
            lookback_days=table.lookback_days,
            near_misses=table.near_misses,
        ),
    )


def _channels(table: ProfileTable, root: RootTable | None, document: Document) -> tuple[Channel, ...]:
    """The ways out, of which e-mail needs a recipient and a server."""
    if table.channels is None:
        mails = bool(table.recipients) and root is not None
        channels: tuple[Channel, ...] = ("email", "feeds", "archive") if mails else ("feeds", "archive")
    else:
        channels = tuple(dict.fromkeys(table.channels))
    if root is not None and "email" in channels:
        if not table.recipients:
            raise ConfigError(
                "channels: e-mail needs somebody to go to",
                place=document.place(("channels",)),
                remedy='Add recipients = ["Name <name@example.org>"], or take "email" out of channels.',
            )
        if root.email is None:
            raise ConfigError(
                "recipients: there is no mail server",
                place=document.place(("recipients",)),
                remedy='Add [email] to digest.toml, or say channels = ["feeds", "archive"].',
            )
    return channels


def _check_interest(table: InterestTable, document: Document, keys: tuple[Key, ...]) -> None:
    if not (table.keywords or table.require or table.authors or table.categories or table.query):
        raise ConfigError(
            f"interests: {table.name!r} says nothing that a paper should have",
            place=document.place(keys),
            remedy="Give it keywords, require, authors, categories or query.",
        )
    for name in ("keywords", "require", "exclude", "authors", "categories"):
        words: dict[str, Any] = {name: tuple(getattr(table, name))}
        _check_words(Interest(table.name, **words), document, (*keys, name))
    _check_words(Interest(table.name, query=table.query), document, (*keys, "query"))


def _check_words(interest: Interest, document: Document, keys: tuple[Key, ...]) -> None:
    try:
        compile_interest(interest)
    except QueryError as error:
        error.place = document.place(keys)
        error.message = f"{keys[-1]}: {error.message}"
        raise


# --- checking ---------------------------------------------------------------------------------


def _checked(model: type[T], document: Document, folder: Path) -> T:
    try:
        return TypeAdapter(model).validate_python(document.values, context=folder)
    except ValidationError as error:
        raise _config_error(error, model, document, ()) from None


def call(
    factory: Callable[..., T],
    source: SourceConfig,
    provided: Mapping[str, Callable[[], object]],
    *,
    secret: Callable[[CredentialTable], Secret],
) -> T:
    """Call the class of a source with its settings, checked against its parameters.

    `provided` makes what the program itself gives to a parameter of that name; a parameter annotated
    `Secret` is given what `secret` makes of its table. Raises ConfigError.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(factory).parameters.items()
        if name != "name" and name not in provided
    }
    for key in source.settings:
        if key not in parameters:
            raise ConfigError(
                f"sources: a source of kind {source.kind!r} has no key {key!r}",
                place=source.file.place((*source.keys, key)),
                remedy=_nearest(key, ["kind", "name", *parameters]),
            )
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in source.settings
    ]
    if missing:
        raise ConfigError(
            f"sources: a source of kind {source.kind!r} needs {', '.join(missing)}",
            place=source.file.place(source.keys),
        )
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    arguments: dict[str, Any] = {}
    for key, value in source.settings.items():
        hint = hints.get(key, Any)
        is_secret = Secret in (hint, *typing.get_args(hint))
        try:
            checked = TypeAdapter(CredentialTable if is_secret else hint).validate_python(value)
        except ValidationError as error:
            raise _config_error(error, None, source.file, (*source.keys, key)) from None
        arguments[key] = secret(checked) if is_secret else checked
    given: dict[str, Any] = {
        name: make() for name, make in provided.items() if name in inspect.signature(factory).parameters
    }
    try:
        return factory(name=source.name, **arguments, **given)
    except ValueError as error:
        raise ConfigError(f"sources: {error}", place=source.file.place(source.keys)) from error


def _config_error(
    error: ValidationError,
    model: Any,  # noqa: ANN401
    document: Document,
    prefix: tuple[Key, ...],
) -> ConfigError:
    """All mistakes of a file in one error, each with its own place."""
    found = [
        _mistake(item, model, document, prefix)
        for item in error.errors(include_input=False, include_url=False)
    ]
    first, *others = found
    if others:
        first.remedy = "\n".join([first.remedy or "", *map(str, others)]).strip("\n")
    return first


def _mistake(
    item: Mapping[str, Any],
    model: Any,  # noqa: ANN401
    document: Document,
    prefix: tuple[Key, ...],
) -> ConfigError:
    keys = (*prefix, *(key for key in item["loc"] if not str(key).startswith("function-")))
    path = ".".join(str(key) for key in keys)
    place = document.place(keys)
    if item["type"] == "extra_forbidden":
        return ConfigError(
            f"{path}: there is no such key", place=place, remedy=_nearest(str(keys[-1]), _keys(model, keys))
        )
    if item["type"] == "missing":
        return ConfigError(f"{path}: this key is needed", place=place)
    if item["type"] in {"model_type", "model_attributes_type", "dict_type"} and str(keys[-1]) in _SECRETS:
        return ConfigError(
            f"{path}: a secret does not belong into this file",
            place=place,
            remedy=f'Store it with `digest secret set NAME` and write {keys[-1]} = {{ keyring = "NAME" }}; '
            "or use { env = … }, { file = … } or { command = … }.",
        )
    message = str(item["msg"]).removeprefix("Value error, ")
    return ConfigError(f"{path}: {message[0].lower()}{message[1:]}", place=place)


def _keys(model: Any, keys: Sequence[Key]) -> list[str]:  # noqa: ANN401 - pydantic's models are walked
    """The keys that the table around a key may have."""
    for key in keys[:-1]:
        if isinstance(key, str):
            annotation = next(
                (
                    field.annotation
                    for name, field in model.model_fields.items()
                    if key in (name, field.alias)
                ),
                None,
            )
            model = next(
                (part for part in _flat(annotation) if inspect.isclass(part) and issubclass(part, BaseModel)),
                model,
            )
    return [field.alias or name for name, field in model.model_fields.items()]


def _flat(annotation: Any) -> list[Any]:  # noqa: ANN401
    """An annotation and every part of it."""
    return [annotation, *(inner for part in typing.get_args(annotation) for inner in _flat(part))]


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
