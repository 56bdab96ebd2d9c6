"""What `digest check` looks at: everything that a run needs. Nothing is sent, made, migrated or stored.

A look gives findings that are green or yellow, and raises what is red.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from digest import app as application
from digest import health, pipeline, resources
from digest.config import CredentialTable, EmailTable
from digest.core import doubts, mailbox, slots
from digest.core.model import Period
from digest.core.phrases import quantity
from digest.core.sample import with_everything
from digest.core.shelf import shelf
from digest.credentials import describe, own_key
from digest.errors import (
    BusyError,
    ConfigError,
    DigestError,
    FetchError,
    PluginError,
    SourceError,
    StoreError,
)
from digest.sources import read_page
from digest.store.condition import Condition, examine
from digest.store.lock import locked
from digest.store.schema import HEAD

if TYPE_CHECKING:
    from digest.app import App, Fetchers
    from digest.core.model import Digest, Page, Profile, Reading
    from digest.fetch.http import Network
    from digest.ports import Plan, Source

_LITTLE_ROOM, _NO_ROOM = 200_000_000, 20_000_000  # bytes; a year of ten sources takes about the first
_BEHIND, _WRONG = timedelta(minutes=5), timedelta(days=1)  # of clocks
_NOBODYS = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "Etc/GMT", "GMT", "UCT", "Zulu", "Etc/Zulu", "Universal"})
_NAMED = 3  # profiles within a line
_TRIES = 3  # requests that fail before a source does
_TIMEOUT = 20.0  # seconds for a page, which somebody waits for
_LONGEST = 60.0  # seconds for all sources
_SIDE_BY_SIDE = 32

Level = Literal["green", "yellow", "red"]

Progress = Callable[[str, Sequence[str]], AbstractContextManager[Callable[[str], None]]]
"""Shows how far several things are that are done side by side; what it gives is called with each name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at something found."""

    subject: str
    detail: str
    level: Level = "green"
    remedy: str = ""
    error: DigestError | None = None  # what is red


def failed(subject: str, error: DigestError) -> Finding:
    """A finding that somebody has to do something about."""
    remedy = str(error).removeprefix(error.head).removeprefix(". ")
    return Finding(subject, error.head, "red", remedy, error)


@dataclass
class Checkup:
    """Looks at everything that a configuration names; with `online` servers are asked, too."""

    app: App
    at: datetime
    online: bool = False
    progress: Progress = lambda _label, _names: nullcontext(lambda _name: None)
    _clocks: list[timedelta] = field(default_factory=list)  # how far those of servers are ahead of ours

    def findings(self) -> Iterator[Finding]:
        """All there is to say, a yellow or red one for whatever somebody should look at."""
        for subject, look in (
            ("config", self._configuration),
            ("profile", self._profiles),
            ("time zone", self._time_zone),
            ("data", self._data),
            ("output", lambda: self._folder("output", self.app.config.output_dir)),
            ("database", self._database),
            ("source", self._sources),
            ("clock", self._clock),
            ("secret", self._secrets),
            ("ranker", lambda: [Finding("ranker", self.app.ranker().version)]),
            ("templates", self._templates),
            ("feeds", self._feeds),
            ("webhook", self._webhooks),
            ("mail", self._mail),
            ("recipients", self._recipients),
            ("runs", self._runs),
            ("next", self._next),
        ):
            try:
                yield from look()
            except DigestError as error:
                yield failed(subject, error)
            except OSError as error:  # of the machine, such as a folder that vanishes meanwhile
                yield failed(
                    subject,
                    DigestError(
                        f"{error.strerror}", place=error.filename, remedy="Look what has become of it"
                    ),
                )

    # --- what is configured -----------------------------------------------------------------------

    def _configuration(self) -> Iterator[Finding]:
        config = self.app.config
        profiles, sources = quantity(len(config.profiles), "profile"), quantity(len(config.sources), "source")
        yield Finding("config", f"{config.path}: {profiles}, {sources}")
        used = {channel for one in config.profiles for channel in one.channels}
        if config.email is not None and "email" not in used:
            yield _doubt("config", "[email] is there, and no profile has recipients", "Give one `recipients`")
        for webhook in config.webhooks:
            if not any(webhook.name in one.webhooks for one in config.profiles):
                what = f"webhook {webhook.name!r} is told nothing, for no profile names it"
                yield _doubt("config", what, f'Give one webhooks = ["{webhook.name}"]')
        for source in config.sources:
            if not any(source.name in one.sources for one in config.profiles):
                what = f"source {source.name!r} is read for nobody, for no profile names it"
                yield _doubt("config", what, "Name it in `sources` of a profile, or take it out")
        is_told = any(webhook.url.plain for webhook in config.webhooks)
        if is_told and os.name == "posix" and config.path.stat().st_mode & 0o044:
            what = f"{config.path} holds the address of a webhook, and others can read it"
            yield _doubt("config", what, f"Run `chmod 600 {config.path}`")

    def _profiles(self) -> Iterator[Finding]:
        for profile in self.app.config.profiles:
            for what, remedy in doubts.of_profile(profile):
                yield _doubt("profile", what, remedy)
            capped = [f"{one.max_papers} of {one.name!r}" for one in profile.interests if one.max_papers]
            if capped and len(profile.interests) > 1:
                # At the end of a file, `max_papers` is the last interest's, whatever was meant.
                most = f"{profile.name}: at most {profile.limits.max_papers} papers"
                yield Finding("profile", f"{most}, {_some(capped)}")

    def _time_zone(self) -> Iterator[Finding]:
        config = self.app.config
        local = self.at.astimezone(ZoneInfo(config.timezone))
        now = f"{local:%a %d %b, %H:%M} now"
        if not config.follows_machine:
            yield Finding("time zone", f"{config.timezone}, as configured: {now}")
        elif config.timezone in _NOBODYS:
            what = f"{config.timezone}, for this machine names no other: {now}"
            yield _doubt("time zone", what, 'Write your own: timezone = "Europe/Berlin"')
        else:
            yield Finding("time zone", f"{config.timezone}, as this machine has it: {now}")

    # --- this machine -----------------------------------------------------------------------------

    def _data(self) -> Iterator[Finding]:
        folder = self.app.config.data_dir
        yield from self._folder("data", folder)
        if os.name == "posix" and folder.is_dir() and folder.stat().st_mode & 0o066:
            what = f"{folder} is open to others, and holds what you read and like"
            yield _doubt("data", what, f"Run `chmod 700 {folder}`")

    def _folder(self, subject: str, folder: Path) -> Iterator[Finding]:
        free = _writable(folder)
        if free < _NO_ROOM:
            raise StoreError(
                f"only {_bytes(free)} are free here", place=str(folder), remedy="Make room on the disk"
            )
        level: Level = "yellow" if free < _LITTLE_ROOM else "green"
        remedy = "Make room on the disk soon" if level == "yellow" else ""
        yield Finding(subject, f"{folder}, {_bytes(free)} free", level, remedy)

    def _clock(self) -> Iterator[Finding]:
        """Compare it with that of servers, or else with what cannot have happened yet."""
        here, remedy = f"it is {self.at:%Y-%m-%d %H:%M} UTC here", "Set the clock: `timedatectl set-ntp true`"
        if self._clocks:
            ahead = max(
                self._clocks
            )  # a cache may send what it was told long ago, so the latest one is right
            there = f"{self.at + ahead:%Y-%m-%d %H:%M} at the servers that were asked"
            wrong, right = abs(ahead), "right, as the servers say that were asked"
        else:
            written = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
            # Archives name no time zone, so this one may be a day off.
            known = {"digest was installed": written - _WRONG, **self._happened()}
            what, newest = max(known.items(), key=lambda one: one[1])
            there = f"{what} at {newest:%Y-%m-%d %H:%M}"
            wrong, right = newest - self.at, "right, as far as can be told without a server"
            remedy += "; if it is right, it was ahead then, and nothing needs to be done"
        if wrong <= _BEHIND:
            yield Finding("clock", right)
        elif wrong <= _WRONG:
            yield _doubt("clock", f"it may be wrong: {here}, and {there}", remedy)
        else:
            raise DigestError(f"the clock is wrong: {here}, and {there}", remedy=remedy)

    def _happened(self) -> dict[str, datetime]:
        if not self._is_stored:
            return {}
        with self.app.store() as store:
            last = store.last_run()
            read = [report.period.until for report in store.latest_reports()]
        ran = {} if last is None else {"the last run began": last.started_at}
        return {**ran, **({"a source was read": max(read)} if read else {})}

    # --- the database -----------------------------------------------------------------------------

    @cached_property
    def _condition(self) -> Condition | DigestError:
        try:
            return examine(self.app.config.database)
        except DigestError as error:
            return error

    @property
    def _is_stored(self) -> bool:
        """Whether there is a database that can be asked without changing it."""
        return isinstance(self._condition, Condition) and self._condition.is_current

    def _database(self) -> Iterator[Finding]:
        found = self._condition
        if isinstance(found, DigestError):
            raise found
        if found.version is None:
            yield Finding("database", f"none yet; the first run makes it ({found.server})")
            return
        kind = f"{found.server}, {_bytes(found.size)}, version {found.version}"
        soundness = "sound" if found.server == "SQLite" else "it answers"
        if not found.is_whole:
            soundness = "sound as far as there was time to look"
        if found.is_current:
            yield Finding("database", f"{soundness}; {kind}")
            return
        copy = ", after a copy beside it" if found.server == "SQLite" else "; make a copy before: `pg_dump`"
        yield Finding("database", f"{soundness}; {kind}: the next command brings it to {HEAD}{copy}")

    # --- sources ----------------------------------------------------------------------------------

    def _sources(self) -> Iterator[Finding]:
        failing = self._failing()
        local = {one.name for one in self.app.config.sources if one.kind == "file"}
        answers = self._asked([one for one in self.app.sources if self.online or one.name in local])
        for source in self.app.sources:
            if source.name in answers:
                yield answers[source.name]
            elif source.name in failing:
                what = f"{source.name} could not be read the last time: {failing[source.name]}"
                yield _doubt("source", what, "See whether it can be now: `digest check --online`")
        rest = [one.name for one in self.app.sources if one.name not in answers and one.name not in failing]
        if rest:
            yield Finding("source", f"{_some(rest)}; `--online` asks {'it' if len(rest) == 1 else 'them'}")

    def _failing(self) -> dict[str, str]:
        if not self._is_stored:
            return {}
        with self.app.store() as store:
            last = health.reports(self.app.config, store)
        return {report.source: report.error for report in last if report.error}

    def _asked(self, sources: Sequence[Source]) -> dict[str, Finding]:
        """Ask each for its first page, side by side."""
        names = [source.name for source in sources]
        pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="digest-check")
        fetchers = application.Fetchers(self.app.user_agent, self._network)
        is_over = Event()
        with self.progress("Asking", names) as done, closing(fetchers):

            def ask(source: Source) -> Finding:
                try:
                    return self._ask(source, fetchers)
                except DigestError as error:
                    if is_over.is_set():
                        error.message = f"there was no answer within {_LONGEST:g} seconds"
                    found = failed("source", error)
                    return replace(found, detail=f"{source.name}: {found.detail}")
                finally:
                    done(source.name)

            futures = [pool.submit(ask, source) for source in sources]
            wait(futures, _LONGEST)
            is_over.set()
            fetchers.close()  # what is under way ends, and what has not begun fails at once
            pool.shutdown()
        return {name: future.result() for name, future in zip(names, futures, strict=True)}

    def _network(self) -> Network:
        network = self.app.ways.network()
        return replace(network, timeout=min(network.timeout, _TIMEOUT))

    def _ask(self, source: Source, fetchers: Fetchers) -> Finding:
        """What a source makes of its first page. Raises DigestError."""
        plan = source.collect(Period(self.at - timedelta(days=1), self.at))
        try:
            page = self._first_page(plan, fetchers)
            plan.send(page)
        except StopIteration as end:
            reading: Reading = end.value
            said = f"{source.name} lists {quantity(len(reading.listings), 'paper')}"
            if reading.complete:
                return Finding("source", said)
            return _doubt(
                "source",
                f"{said}, and could not be read completely: {reading.notes[0]}",
                "The next run tries again",
            )
        except DigestError:
            raise
        except Exception as error:
            raise PluginError(
                f"the source broke off with {type(error).__name__}: {error}",
                remedy="Its author can put that right",
            ) from error
        finally:
            plan.close()
        # It asks for more, which is for a run to read.
        listed = ""
        with suppress(SourceError):
            listed = f": its first page lists {quantity(len(self._read(page).listings), 'paper')}"
        return Finding("source", f"{source.name} answers{listed}")

    def _first_page(self, plan: Plan, fetchers: Fetchers) -> Page:
        """The first page that a source can be given."""
        request, failures = next(plan), 0
        while True:
            try:
                page = fetchers.fetch(request, now=self.at)
            except FetchError as error:
                failures += 1
                if failures == _TRIES:
                    raise
                request = plan.throw(error)  # there may be another way
            else:
                break
        assert page is not None  # noqa: S101 - a request without validators is never answered by "unchanged"
        if page.served_at is not None:
            self._clocks.append(page.served_at - application.now())
        return page

    def _read(self, page: Page) -> Reading:
        return read_page(page, application.readers())

    # --- secrets ----------------------------------------------------------------------------------

    def _secrets(self) -> Iterator[Finding]:
        for whose, table in self._wanted():
            try:
                yield Finding("secret", f"{whose}: {self._place(table)}")
            except DigestError as error:
                found = failed("secret", error)
                yield replace(found, detail=f"{whose}: {found.detail}")
        email, config = self.app.config.email, self.app.config
        if email is not None and email.username and not (email.password or email.oauth2):
            raise ConfigError(
                "mail: there is a user name but no password",
                place=str(config.path),
                remedy='Run `digest secret set digest-smtp` and write password = { keyring = "digest-smtp" }',
            )
        key = config.data_dir / "feedback.key"
        if config.serve.base_url is not None and key.exists():
            own_key(key)

    def _wanted(self) -> Iterator[tuple[str, CredentialTable]]:
        """Whose secrets there are, and where they should be."""
        with suppress(DigestError):  # which `_sources` has told
            yield from self.app.keys.items()
        for webhook in self.app.config.webhooks:
            if webhook.url.plain is None:
                yield f"webhook {webhook.name}", webhook.url
        if (email := self.app.config.email) is None:
            return
        if email.oauth2 is not None:
            for name in ("token", "client_secret", "refresh_token"):
                if table := getattr(email.oauth2, name):
                    yield f"mail {name}", table
        if email.password is not None:
            yield "mail", email.password
        if email.imap is not None and email.imap.password is not None:
            yield "mailbox", email.imap.password

    def _place(self, table: CredentialTable) -> str:
        """Where a secret is. Raises CredentialError if it is not there."""
        self.app.ways.secret(table)()
        return describe(self.app.ways.reference(table))

    # --- what is made -----------------------------------------------------------------------------

    def _templates(self) -> Iterator[Finding]:
        """Fill in every template, so that one that fails does so here; says which ones are the user's."""
        with self._aside() as (app, profile, digest):
            digests = shelf([digest])
            whole = app.feed_renderer(entry="digest")
            for files in (
                app.files(profile, digest),
                whole.render(profile, digests),
                app.archive.render(profile, digests),
            ):
                for _ in files:
                    pass
            app.archive.overview([profile], [digest.summary])
            shown = {"nonce": "", "title": profile.title, "paper": digest.overflow[0].paper}
            for state in ("comes", "is_stopped", "stopped", "started"):
                app.web_page("stop.html.j2", state=state, address="", **shown)
            for action, done in (("like", False), ("dislike", True), ("forget", True)):
                form = {"action": action, "paper": "", "token": ""} if action != "forget" else None
                app.web_page("opinion.html.j2", action=action, done=done, form=form, **shown)
            for name in app.notices.renderer.forms():
                app.notices.renderer.compose(profile, digest, form=name, values={"topic": "sample"})
        said, yours = "each can be filled in", self.app.config.templates
        if yours is not None:
            names = sorted(path.name for path in resources.folder("templates").iterdir())
            said += f"; yours: {', '.join(name for name in names if (yours / name).is_file()) or 'none'}"
        yield Finding("templates", said)

    def _webhooks(self) -> Iterator[Finding]:
        for webhook in self.app.config.webhooks:
            with self._aside() as (app, profile, digest):
                app.notices.compose(profile, digest, webhook.name)
            yield Finding("webhook", f"{webhook.name}: {webhook.form} can be filled in; nothing is posted")

    @contextmanager
    def _aside(self) -> Iterator[tuple[App, Profile, Digest]]:
        """The same configuration elsewhere, with an empty database, and a digest of all there may be."""
        with tempfile.TemporaryDirectory(prefix="digest-") as folder:
            config = replace(self.app.config, data_dir=Path(folder), database=f"sqlite:///{folder}/digest.db")
            app = replace(self.app, config=config, is_rehearsal=True)
            profile = config.profiles[0]
            with app.store() as store:
                made = pipeline.draft(store, profile, app.ranker, now=self.at)
            yield app, profile, with_everything(made)

    def _feeds(self) -> Iterator[Finding]:
        feeds = self.app.config.feeds
        where = f"found at {feeds.address}"
        if feeds.base_url is None:
            where += ", by `digest serve`; elsewhere, set feeds.base_url"
        yield Finding("feeds", where)

    # --- mail -------------------------------------------------------------------------------------

    def _mail(self) -> Iterator[Finding]:
        email = self.app.config.email
        if email is None:
            yield Finding("mail", "no server is configured: feeds and archive alone")
        elif email.folder is not None:
            yield from self._folder("mail", Path(email.folder))
        elif email.transport == "sendmail":
            yield Finding("mail", _program(email.command[0]))
        elif self.online:
            yield self._login(email)
        else:
            place = f"{email.host}:{email.service_port}, security {email.security}"
            yield Finding("mail", f"{place}; `--online` logs in")
        if self.online and email is not None and email.imap is not None:
            yield self._mailbox(email)

    def _login(self, email: EmailTable) -> Finding:
        server = self.app.ways.smtp(email)
        try:
            server.connect()
        except DigestError as error:
            error.remedy = error.remedy or "Ask whoever runs that server"
            return failed("mail", error)
        finally:
            server.close()
        said = "takes our login" if email.username else "answers, and is not asked for a login"
        return Finding("mail", f"the mail server {said}: {email.host}:{email.service_port}")

    def _mailbox(self, email: EmailTable) -> Finding:
        box = self.app.ways.imap(email)
        try:
            box.holds("<nothing@digest.invalid>")
        except DigestError as error:
            return failed("mailbox", error)
        finally:
            box.close()
        return Finding("mailbox", "it can be looked into")

    def _recipients(self) -> Iterator[Finding]:
        """The profiles whose mail everybody has stopped."""
        if not self._is_stored:
            return
        with self.app.store() as store:
            stopped = self.app.all_stopped(store)
        for profile in self.app.config.profiles:
            gone = stopped.get(profile.name, {})
            if gone and all(mailbox.key(recipient) in gone for recipient in profile.recipients):
                what = f"all of {profile.name!r} have stopped its mail"
                yield _doubt("recipients", what, "`digest status` says when")

    # --- runs -------------------------------------------------------------------------------------

    def _runs(self) -> Iterator[Finding]:
        if _is_held(self.app.config.data_dir):
            yield Finding("runs", "one is active now")
        if isinstance(self._condition, DigestError):
            return  # which `_database` has told
        last, late = None, {}
        if self._is_stored:
            with self.app.store() as store:
                last = store.last_run()
                late = health.overdue(self.app.config.profiles, store, at=self.at, since=self.at)
        starts = "`digest schedule`, or a timer as in config/deploy"
        if late:
            since = self._local(min(late.values()))
            what = f"{quantity(len(late), 'digest')} overdue since {since}: nothing seems to start digest"
            yield _doubt("runs", what, f"Run `digest run`, and for every day {starts}")
        elif last is None:
            yield Finding("runs", f"none yet: `digest run`, and for every day {starts}")
        else:
            yield Finding("runs", f"the last one began {self._local(last.started_at)}")

    def _next(self) -> Iterator[Finding]:
        following = cache(lambda schedule: slots.following(schedule, self.at))
        coming: dict[tuple[datetime, str], list[str]] = {}
        unscheduled = []
        for profile in self.app.config.profiles:
            if (schedule := profile.schedule) is None:
                unscheduled.append(profile.name)
            else:
                coming.setdefault((following(schedule), schedule.timezone), []).append(profile.name)
        if unscheduled:
            said = "none, so each `digest run` sends what is new; add [schedule] if it is called often"
            yield Finding("schedule", f"{_some(unscheduled)}: {said}" if coming else said)
        for (slot, timezone), names in sorted(coming.items()):
            yield Finding("next", f"{self._local(slot, timezone)}: {_some(names)}")

    def _local(self, at: datetime, timezone: str | None = None) -> str:
        """A time as somebody there says it."""
        zone = timezone or self.app.config.timezone
        where = f" ({zone})" if zone != self.app.config.timezone else ""
        return f"{at.astimezone(ZoneInfo(zone)):%a %d %b, %H:%M}{where}"


def _doubt(subject: str, what: str, remedy: str) -> Finding:
    return Finding(subject, what, "yellow", remedy)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _bytes(number: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:,.0f} kB"


def _writable(folder: Path) -> int:
    """The bytes that are free where a folder is, or will be. Raises ConfigError if it cannot be written."""
    around = folder
    while not around.exists():
        around = around.parent
    if not around.is_dir() or not os.access(around, os.W_OK | os.X_OK):
        raise ConfigError(
            "this folder cannot be written",
            place=str(around),
            remedy="Change its permissions, or name another",
        )
    return shutil.disk_usage(around).free


def _is_held(folder: Path) -> bool:
    """Whether a run holds the data directory now."""
    if not (folder / "digest.lock").exists():
        return False
    try:
        with locked(folder, wait=0):
            return False
    except BusyError:
        return True


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            "there is no such program", place=name, remedy="Name another in `email.command`, or install it"
        )
    return found
