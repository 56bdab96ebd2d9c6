"""The composition root: configuration → real objects. The only reader of the clock."""

from __future__ import annotations

import sqlite3
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest import config as configuration
from digest import pipeline, plugins, resources
from digest.config import Config, EmailTable, SourceConfig
from digest.core import mailbox
from digest.core.model import Artifact, DeliveryState, Digest, Page, Profile, Reading, Request, SourceReport
from digest.errors import ConfigError, SourceError
from digest.pipeline import Composed, Dispatched, Outputs
from digest.ports import Reader, Source
from digest.sources import read_page

if TYPE_CHECKING:
    from jinja2 import Environment

    from digest.credentials import CredentialReference
    from digest.deliver.file import FilePublisher
    from digest.deliver.smtp import SmtpDeliverer
    from digest.fetch.http import HttpFetcher
    from digest.render.archive import ArchiveRenderer
    from digest.render.email import EmailRenderer
    from digest.render.feed import FeedRenderer
    from digest.store.store import Store

# What is needed for one command alone is imported where it is built: `digest --help` and a run with
# nothing new load no template engine, no HTML parser and no mail library.


def now() -> datetime:
    """The time, in whole seconds and UTC."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class App:
    """A configuration and what is built from it."""

    config: Config
    environ: Mapping[str, str]

    # --- what is built ------------------------------------------------------------------------

    @contextmanager
    def store(self, *, lock: bool = False, wait: float = 0.0) -> Iterator[Store]:
        """The open store; with `lock`, while no other run is active."""
        from digest.store.lock import locked, make_folder
        from digest.store.store import Store

        make_folder(self.config.data_dir)
        if lock:
            with locked(self.config.data_dir, wait=wait), closing(Store(self.config.database)) as store:
                yield store
        else:
            with closing(Store(self.config.database)) as store:
                yield store

    @cached_property
    def sources(self) -> list[Source]:
        """The sources in the order of the configuration. Raises ConfigError, PluginError."""
        provided = {"readers": readers(), "folder": self.config.path.parent}
        return [self._source(source, provided) for source in self.config.sources]

    def _source(self, source: SourceConfig, provided: Mapping[str, object]) -> Source:
        try:
            factory = plugins.load("sources", source.kind)
        except ConfigError as error:
            error.place = source.file.place((*source.keys, "kind"))
            raise
        built: Source = configuration.call(factory, source, provided)
        return built

    def profiles(self, name: str | None = None) -> tuple[Profile, ...]:
        """All profiles, or the one of that name. Raises ConfigError."""
        if name is None:
            return self.config.profiles
        for profile in self.config.profiles:
            if profile.name == name:
                return (profile,)
        known = ", ".join(profile.name for profile in self.config.profiles)
        raise ConfigError(f"no profile is called {name!r}", remedy=f"There are {known}.")

    @cached_property
    def mailer(self) -> EmailRenderer:
        """What composes messages."""
        from digest.render.email import EmailRenderer

        return EmailRenderer(
            self._templates,
            sender=self._sender,
            base_url=self.config.feeds.base_url,
            formats=tuple(self.config.feeds.formats),
        )

    @property
    def _sender(self) -> str:
        return self.config.email.sender if self.config.email else "Digest <digest@example.invalid>"

    @cached_property
    def feeds(self) -> FeedRenderer:
        """What makes the feeds."""
        from digest.render.feed import FeedRenderer

        feeds = self.config.feeds
        return FeedRenderer(
            self._templates, base_url=feeds.base_url, entries=feeds.entries, formats=tuple(feeds.formats)
        )

    @cached_property
    def archive(self) -> ArchiveRenderer:
        """What makes the archive pages."""
        from digest.render.archive import ArchiveRenderer

        feeds = self.config.feeds
        return ArchiveRenderer(self._templates, base_url=feeds.base_url, formats=tuple(feeds.formats))

    @cached_property
    def _templates(self) -> Environment:
        from digest.render import environment

        return environment(*([self.config.templates] if self.config.templates else []))

    @cached_property
    def publisher(self) -> FilePublisher:
        """What writes the public files."""
        from digest.deliver.file import FilePublisher

        return FilePublisher(self.config.output_dir)

    def deliverer(self, email: EmailTable) -> SmtpDeliverer:
        """What hands messages to a mail server. Raises ConfigError."""
        from digest.credentials import resolve
        from digest.deliver.smtp import SmtpDeliverer

        reference = self.credential(email)
        context = None
        if email.ca_file is not None:
            try:
                context = ssl.create_default_context(cafile=str(email.ca_file))
            except OSError as error:
                raise ConfigError(
                    f"email.ca_file: no certificates can be read: {error}", place=str(email.ca_file)
                ) from error
        return SmtpDeliverer(
            host=email.host,
            port=email.service_port,
            security=email.security,
            username=email.username,
            password=None if reference is None else partial(resolve, reference, environ=self.environ),
            sender=mailbox.parse(email.sender).address,
            timeout=email.timeout,
            context=context,
        )

    def credential(self, email: EmailTable) -> CredentialReference | None:
        """Where a mail server's password is."""
        from digest.credentials import CredentialReference

        if email.password is None:
            return None
        places = email.password.model_dump(exclude_none=True)
        return CredentialReference(**places | {"command": tuple(places.get("command", ()))})

    # --- what is done -------------------------------------------------------------------------

    def collect(self, store: Store, *, at: datetime) -> Iterator[SourceReport]:
        """Read every source."""
        lookback = max(profile.limits.lookback_days for profile in self.config.profiles)
        with closing(Fetchers(self.user_agent)) as fetcher:
            yield from pipeline.collect(
                store, self.sources, fetcher, now=at, lookback=timedelta(days=lookback)
            )

    def compose(self, store: Store, profiles: Sequence[Profile], *, at: datetime) -> Iterator[Composed]:
        """Compose the digests that are due."""
        email = self.config.email
        yield from pipeline.compose(
            store,
            profiles,
            lambda: self.mailer,
            now=at,
            send_empty=email is not None and email.when_empty == "send",
        )

    def dispatch(self, store: Store, *, at: datetime) -> Iterator[Dispatched]:
        """Hand over what is due, and bring the public files up to date."""
        email = self.config.email
        outputs = Outputs(
            deliverer=None if email is None else partial(self.deliverer, email),
            renderers={"feeds": lambda: self.feeds, "archive": lambda: self.archive},
            publisher=lambda: self.publisher,
        )
        published = False
        for done in pipeline.dispatch(
            store,
            self.config.profiles,
            outputs,
            now=at,
            resend_uncertain=email is None or email.when_uncertain == "resend",
        ):
            published |= done.delivery.channel == "archive" and done.error is None
            yield done
        if published:
            self.publisher.publish([self.archive.overview(self.config.profiles)])

    def reports(self, store: Store) -> list[SourceReport]:
        """How the last reading of each source went, without those that are no longer configured."""
        names = {source.name for source in self.config.sources}
        return [report for report in store.latest_reports() if report.source in names]

    def health(self) -> dict[str, object]:
        """How the sources and the deliveries stand, and whether somebody should look at them."""
        with self.store() as store:
            reports = self.reports(store)
            failed = store.deliveries(DeliveryState.FAILED, DeliveryState.UNCERTAIN)
        return {
            "ok": not failed and all(report.complete for report in reports),
            "sources": {report.source: report.error or "read" for report in reports},
            "read_until": max((report.period.until.isoformat() for report in reports), default=None),
            "deliveries_that_need_you": len(failed),
        }

    def preview(
        self, profiles: Sequence[Profile], out: Path, *, at: datetime
    ) -> Iterator[tuple[Digest, Path]]:
        """Write what each profile would get now as files below `out/<profile>/`; records nothing."""
        from digest.deliver.file import FilePublisher

        publisher = FilePublisher(out)
        with self.store() as store:
            for profile in profiles:
                digest = pipeline.draft(store, profile, now=at)
                publisher.publish(self.files(profile, digest))
                yield digest, out / profile.name

    def files(self, profile: Profile, digest: Digest) -> Iterator[Artifact]:
        """A digest in every form, below the folder of its profile."""
        recipient = profile.recipients[0] if profile.recipients else self._sender
        yield Artifact(f"{profile.name}/digest.eml", self.mailer.compose(profile, digest, recipient))
        yield Artifact(f"{profile.name}/digest.html", self.mailer.html(profile, digest).encode())
        yield Artifact(f"{profile.name}/digest.txt", self.mailer.text(profile, digest).encode())
        for artifact in self.feeds.render(profile, [digest]):
            yield replace(artifact, path=f"{profile.name}/{artifact.path}")

    @contextmanager
    def rehearsal(self) -> Iterator[App]:
        """The same configuration on a copy of the database, for a run that is to leave no trace."""
        prefix = "sqlite:///"
        if not self.config.database.startswith(prefix):
            raise ConfigError(
                "a dry run copies the database, which works with SQLite alone",
                place=str(self.config.path),
                remedy="`digest preview` shows what would come from what is stored.",
            )
        with tempfile.TemporaryDirectory(prefix="digest-") as folder:
            original, copy = Path(self.config.database.removeprefix(prefix)), Path(folder) / "digest.db"
            if original.is_file():
                with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
            yield replace(
                self, config=replace(self.config, data_dir=Path(folder), database=f"{prefix}{copy}")
            )

    @property
    def user_agent(self) -> str:
        """Who asks, honestly, with a contact where one was given (RFC 9110, 10.1.5)."""
        contact = f" (+mailto:{self.config.contact})" if self.config.contact else ""
        return f"digest/{version('digest')}{contact}"


def load(config: str | None, environ: Mapping[str, str]) -> App:
    """Read the configuration. Raises ConfigError."""
    return App(configuration.load(configuration.find(config, environ)), environ)


def readers() -> list[Reader]:
    """Everything that can read a saved page. Raises PluginError."""
    return [plugins.load("readers", name)() for name in plugins.names("readers")]


def read(address: str, *, captured_on: date | None) -> Reading:
    """The papers on a saved page or behind a URL. Raises SourceError."""
    is_remote = urlsplit(address).scheme in {"http", "https"}
    url = address if is_remote else Path(address).expanduser().absolute().as_uri()
    with closing(Fetchers(f"digest/{version('digest')}")) as fetcher:
        page = fetcher.fetch(Request(url), now=now())
    assert page is not None  # noqa: S101 - a request without validators is never answered by "unchanged"
    return read_page(page, readers(), captured_on=captured_on)


def demo(out: Path, *, at: datetime) -> Iterator[tuple[Profile, Digest]]:
    """Run the whole line on the bundled page, with the example profiles, into a folder."""
    from digest.deliver.file import FilePublisher

    examples = resources.folder("config")
    profiles = tuple(
        configuration.load_profile(path) for path in sorted((examples / "profiles").glob("*.toml"))
    )
    with tempfile.TemporaryDirectory(prefix="digest-") as folder:
        page = configuration.Document(examples / "demo" / "daily-papers.html", {}, {})
        config = Config(
            path=page.path,
            timezone="UTC",
            data_dir=Path(folder),
            output_dir=out,
            templates=None,
            database=f"sqlite:///{folder}/digest.db",
            contact=None,
            sources=(SourceConfig("file", "huggingface", {"paths": [str(page.path)]}, page, ()),),
            email=None,
            feeds=configuration.FeedsTable(),
            profiles=profiles,
        )
        app = App(config, {})
        with app.store() as store:
            for report in app.collect(store, at=at):
                if report.error:
                    raise SourceError(report.error)
            for composed in app.compose(store, profiles, at=at):
                if composed.digest is not None:
                    FilePublisher(out).publish(app.files(composed.profile, composed.digest))
                    yield composed.profile, composed.digest
            for done in app.dispatch(store, at=at):
                if done.error is not None:
                    raise done.error


class Fetchers:
    """Fetches by whatever the address asks for."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._http: HttpFetcher | None = None

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """Fetch a page, or give None when it has not changed. Raises FetchError."""
        if urlsplit(request.url).scheme == "file":
            from digest.fetch.file import FileFetcher

            return FileFetcher().fetch(request, now=now)
        if self._http is None:
            from digest.fetch.http import HttpFetcher

            self._http = HttpFetcher(user_agent=self._user_agent)
        return self._http.fetch(request, now=now)

    def close(self) -> None:
        """Close what was opened."""
        if self._http is not None:
            self._http.close()
