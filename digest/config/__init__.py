"""The configuration: TOML to checked, frozen values.

    document → tables → checks → Config

Whatever is wrong is said with file and line, the path of the key, and the nearest key or value that
would be right. Values are not repeated in messages where one of them might be a secret.
"""

from __future__ import annotations

import difflib
import glob
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import platformdirs
import tzlocal

from digest.config.checks import SourceConfig, call, checked
from digest.config.document import Document, Key, read_document
from digest.config.tables import (
    DAYS,
    CredentialTable,
    EmailTable,
    FeedsTable,
    InterestTable,
    NetworkTable,
    OAuth2Table,
    ProfileTable,
    RootTable,
    ServeTable,
    UrlTable,
    WebhookTable,
)
from digest.core.model import Channel, Interest, Limits, Profile, Schedule
from digest.core.query import compile_interest
from digest.errors import ConfigError, QueryError

__all__ = [
    "Config",
    "CredentialTable",
    "Document",
    "EmailTable",
    "FeedsTable",
    "NetworkTable",
    "OAuth2Table",
    "ServeTable",
    "SourceConfig",
    "UrlTable",
    "WebhookTable",
    "call",
    "find",
    "load",
    "load_profile",
]


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked."""

    path: Path
    timezone: str
    follows_machine: bool  # `timezone` is the machine's
    data_dir: Path
    output_dir: Path
    templates: Path | None
    database: str
    contact: str | None
    sources: tuple[SourceConfig, ...]
    email: EmailTable | None
    webhooks: tuple[WebhookTable, ...]
    feeds: FeedsTable
    serve: ServeTable
    ranker: str
    network: NetworkTable
    profiles: tuple[Profile, ...]


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


def machine_timezone() -> str:
    """The time zone that the machine is in now, as an IANA name; UTC where it says none that there is."""
    with suppress(LookupError, OSError, ValueError, TypeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `digest check` says the same
        tzlocal.reload_localzone()
        name: str = tzlocal.get_localzone_name()
        ZoneInfo(name)
        return name
    return "UTC"


def load(path: Path) -> Config:
    """Read a configuration and its profiles. Raises ConfigError."""
    document = read_document(path)
    if not document.values:
        raise ConfigError(
            "the configuration is empty", place=str(path), remedy="Delete it, and `digest init` writes one."
        )
    folder = path.resolve().parent
    root = checked(RootTable, document, folder)
    timezone = root.timezone or machine_timezone()
    data_dir = Path(root.data_dir or platformdirs.user_data_path("digest"))
    sources = tuple(
        SourceConfig(
            table.kind, table.name or table.kind, table.model_extra or {}, document, ("sources", number)
        )
        for number, table in enumerate(root.sources)
    )
    if root.templates is not None and not Path(root.templates).is_dir():
        raise ConfigError(
            f"templates: there is no folder {root.templates}",
            place=document.place(("templates",)),
            remedy="Make it, or take out the key.",
        )
    names = [source.name for source in sources]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigError(
                f"two sources are called {name!r}",
                place=document.place(("sources", number)),
                remedy='Give one of them another name: name = "…".',
            )
    hooks = [hook.name for hook in root.webhooks]
    for number, name in enumerate(hooks):
        if name in hooks[:number]:
            raise ConfigError(
                f"two webhooks are called {name!r}",
                place=document.place(("webhooks", number)),
                remedy="Rename one of them.",
            )
    profiles: dict[str, Profile] = {}
    named: dict[str, Path] = {}
    for file in _profile_files(root, document, folder):
        text = read_document(file)
        profile = _profile(text, root, timezone, names)
        if profile.name in named:
            raise ConfigError(
                f"two profiles are called {profile.name!r}: this one and {named[profile.name]}",
                place=text.place(("name",)),
                remedy="Change `name = …` in one of them.",
            )
        profiles[profile.name], named[profile.name] = profile, file
    return Config(
        path=path,
        timezone=timezone,
        follows_machine=root.timezone is None,
        data_dir=data_dir,
        output_dir=Path(root.output_dir or data_dir / "public"),
        templates=None if root.templates is None else Path(root.templates),
        database=root.database or f"sqlite:///{data_dir / 'digest.db'}",
        contact=root.contact,
        sources=sources,
        email=root.email,
        webhooks=tuple(root.webhooks),
        feeds=root.feeds,
        serve=root.serve,
        ranker=root.ranker,
        network=root.network,
        profiles=tuple(profiles.values()),
    )


def load_profile(path: Path, timezone: str = "UTC", sources: Sequence[str] = ()) -> Profile:
    """Read one profile without a configuration around it; it then delivers to files alone."""
    return _profile(read_document(path), None, timezone, sources)


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
    table = checked(ProfileTable, document, document.path.parent)
    for number, interest in enumerate(table.interests):
        _check_interest(interest, document, ("interests", number))
        if interest.name in {other.name for other in table.interests[:number]}:
            raise ConfigError(
                f"interests: two are called {interest.name!r}",
                place=document.place(("interests", number, "name")),
                remedy="Rename one of them, or put their keywords together.",
            )
    _check_names("source", table.sources, sources, document)
    if root is not None:
        _check_names("webhook", table.webhooks, [hook.name for hook in root.webhooks], document)
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
                pin=tuple(interest.pin),
                ban=tuple(interest.ban),
            )
            for interest in table.interests
        ),
        recipients=tuple(table.recipients),
        sources=tuple(table.sources or sources),
        channels=_channels(table, root, document),
        webhooks=tuple(dict.fromkeys(table.webhooks)),
        schedule=None
        if schedule is None
        else Schedule(
            at=tuple(sorted(time.fromisoformat(str(at)) for at in schedule.at)),
            days=tuple(sorted({DAYS.index(day) for day in schedule.days})),
            timezone=table.timezone or timezone,
        ),
        limits=Limits(
            max_papers=table.max_papers,
            overflow=table.overflow,
            min_score=table.min_score or 0.0,
            max_age_days=table.max_age_days,
            lookback_days=table.lookback_days,
            near_misses=table.near_misses,
            related=table.related,
            second_look=table.second_look,
        ),
    )


def _check_names(noun: str, given: Sequence[str], known: Sequence[str], document: Document) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"{noun}s: no {noun} is called {name!r}",
                place=document.place((f"{noun}s",)),
                remedy=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known) or 'none'}.",
            )


def _channels(table: ProfileTable, root: RootTable | None, document: Document) -> tuple[Channel, ...]:
    """The ways out, of which e-mail needs a recipient and a server."""
    if table.channels is None:
        asked: dict[Channel, bool] = {"email": bool(table.recipients), "webhook": bool(table.webhooks)}
        messages = tuple(channel for channel, is_asked in asked.items() if is_asked and root is not None)
        channels: tuple[Channel, ...] = (*messages, "feeds", "archive")
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
    if "webhook" in channels and not table.webhooks:
        raise ConfigError(
            "channels: nobody says which webhook",
            place=document.place(("channels",)),
            remedy='Add webhooks = ["name"], or take "webhook" out of channels.',
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
    for name in ("pin", "ban"):
        if not all(any(map(str.isalnum, text)) for text in getattr(table, name)):
            raise ConfigError(
                f"{name}: one of these has no word in it",
                place=document.place((*keys, name)),
                remedy=f'Write {name} = ["word"].',
            )


def _check_words(interest: Interest, document: Document, keys: tuple[Key, ...]) -> None:
    try:
        compile_interest(interest)
    except QueryError as error:
        error.place = document.place(keys)
        error.message = f"{keys[-1]}: {error.message}"
        raise
