"""The composition root: configuration → real objects. The only reader of the clock."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from digest import config as configuration
from digest import pipeline, plugins, publishing, resources
from digest.config import Config, CredentialTable, SourceConfig
from digest.core import feedback, identity, mailbox
from digest.core.access import Access
from digest.core.model import (
    Artifact,
    Channel,
    Digest,
    Opinion,
    Page,
    Paper,
    PaperId,
    Profile,
    Reading,
    Request,
    SourceReport,
    Summary,
)
from digest.core.shelf import MADE, shelf
from digest.errors import ConfigError, DigestError, PluginError, SourceError, StoreError
from digest.orders import Told
from digest.pipeline import Collected, Composed, Outputs
from digest.ports import Ranker, Reader, Secret, Source
from digest.sending import Dispatched

_SIDE_BY_SIDE = 32
"""Sources that are read at once; most of them wait for their sites."""

_LOOKED_BACK = 1000
"""Papers that changed last, among which the newest one is looked for where none is recent."""

if TYPE_CHECKING:
    from jinja2 import Environment

    from digest.core.backtest import Backtest
    from digest.deliver.file import FilePublisher
    from digest.fetch.http import HttpFetcher, Network
    from digest.library import Meant
    from digest.render.archive import ArchiveRenderer
    from digest.render.email import EmailRenderer
    from digest.render.feed import FeedRenderer
    from digest.store.store import Store
    from digest.ways import Notices, Ways

# What is needed for one command alone is imported where it is built: `digest --help` and a run with
# nothing new load no template engine, no HTML parser and no mail library.


def now() -> datetime:
    """The time, in whole seconds and UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def running(at: datetime) -> Callable[[], datetime]:
    """A clock that shows `at` now, and runs, whatever is done to that of the machine."""
    begun = monotonic()
    return lambda: at + timedelta(seconds=int(monotonic() - begun))


@dataclass(frozen=True)
class App:
    """A configuration and what is built from it."""

    config: Config
    environ: Mapping[str, str]
    is_rehearsal: bool = False

    # --- what is built ------------------------------------------------------------------------

    @contextmanager
    def store(self, *, lock: bool = False, wait: float = 0.0) -> Iterator[Store]:
        """The open store; with `lock`, while no other run is active."""
        from digest.store.lock import locked, make_folder
        from digest.store.store import Store

        if lock:
            with locked(self.config.data_dir, wait=wait), closing(Store(self.config.database)) as store:
                yield store
        else:
            make_folder(self.config.data_dir)
            with closing(Store(self.config.database)) as store:
                yield store

    @cached_property
    def sources(self) -> list[Source]:
        """The sources in the order of the configuration. Raises ConfigError, PluginError."""
        folder = self.config.path.resolve().parent
        provided: dict[str, Callable[[], object]] = {
            "readers": cache(_Readers),
            "folder": lambda: folder,
            "contact": lambda: self.config.contact,
        }
        return [self._source(source, folder, provided) for source in self.config.sources]

    def _source(
        self, source: SourceConfig, folder: Path, provided: Mapping[str, Callable[[], object]]
    ) -> Source:
        try:
            factory = plugins.load("sources", source.kind, folder=folder)
        except ConfigError as error:
            error.place = source.file.place((*source.keys, "kind"))
            raise
        try:
            built: Source = configuration.call(
                factory, source, provided, secret=lambda table: self._key_of(source.name, table)
            )
        except DigestError:
            raise
        except Exception as error:
            raise PluginError(
                f"the source cannot be made: {type(error).__name__}: {error}",
                place=source.kind,
                remedy="Its author can put that right.",
            ) from error
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

    def profile(self, name: str | None) -> Profile:
        """The profile of that name, which the only one needs not. Raises ConfigError."""
        profiles = self.profiles(name)
        if len(profiles) > 1:
            known = ", ".join(profile.name for profile in profiles)
            raise ConfigError("there are several profiles", remedy=f"Say which by --profile: {known}.")
        return profiles[0]

    def trial(self, profile: str) -> Profile:
        """The profile of that name, or in a file that need not be configured. Raises ConfigError."""
        path = Path(profile).expanduser()
        if path.suffix != ".toml":
            return self.profiles(profile)[0]
        names = [source.name for source in self.config.sources]
        return configuration.load_profile(path, self.config.timezone, names)

    @cached_property
    def mailer(self) -> EmailRenderer:
        """What composes messages."""
        from digest.render.email import EmailRenderer

        links: dict[str, Any] = {}
        if (base_url := self.config.serve.base_url) is not None:
            links["opinion_link"] = partial(feedback.link, base_url, self.feedback_key)
            links["stop_link"] = partial(feedback.stop_link, base_url, self.feedback_key)
        return EmailRenderer(
            self._templates,
            sender=self._sender,
            base_url=self.config.feeds.base_url,
            formats=tuple(self.config.feeds.formats),
            **links,
        )

    def paper(self, name: PaperId) -> Paper | None:
        """The stored paper that one of its identifiers means."""
        with self.store() as store:
            found = [stored.paper for stored in store.find_papers(name)]
        return max(found, key=lambda paper: name in identity.aliases(paper), default=None)

    def judge(self, profile: str, paper: Paper, opinion: Opinion | None, *, at: datetime) -> None:
        """Keep what a profile thinks of a paper, or forget it (None)."""
        with self.store() as store:
            store.judge(profile, [paper], opinion, now=at)

    def web_page(self, template: str, **values: object) -> str:
        """A page of the server's own. Raises RenderError."""
        from digest.render import render

        return render(self._templates, template, **values)

    @cached_property
    def feedback_key(self) -> bytes:
        """What signs the links of the mails. Raises CredentialError, StoreError."""
        from digest.credentials import own_key
        from digest.store.lock import make_folder

        make_folder(self.config.data_dir)
        return own_key(self.config.data_dir / "feedback.key")

    @property
    def _sender(self) -> str:
        return self.config.email.sender if self.config.email else "Digest <digest@example.invalid>"

    @cached_property
    def feeds(self) -> FeedRenderer:
        """What makes feeds that are not published, with ids that nobody remembers."""
        return self.feed_renderer()

    def feed_renderer(
        self, *, authority: str = "digest.invalid", entry: Literal["paper", "digest"] | None = None
    ) -> FeedRenderer:
        """What makes the feeds, as they are configured unless an entry is to be something else."""
        from digest.render.feed import FeedRenderer

        feeds = self.config.feeds
        return FeedRenderer(
            self._templates,
            base_url=feeds.address,
            authority=authority,
            entries=feeds.entries,
            formats=feeds.formats,
            entry=entry or feeds.entry,
            per_interest=feeds.per_interest,
        )

    def _settled_feeds(self, store: Store) -> FeedRenderer:
        """What makes the feeds that are published, with ids that outlive a change of `base_url`."""
        host = urlsplit(self.config.feeds.base_url or "").hostname or ""
        is_domain = re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*", host)
        # RFC 2606, 2: "invalid" is nobody's domain; the rest tells one nobody from the others.
        own = host if is_domain else f"{secrets.token_hex(6)}.invalid"
        return self.feed_renderer(authority=store.settle("feeds.authority", own))

    @cached_property
    def archive(self) -> ArchiveRenderer:
        """What makes the archive pages."""
        from digest.render.archive import ArchiveRenderer

        feeds = self.config.feeds
        return ArchiveRenderer(
            self._templates, base_url=feeds.base_url, formats=feeds.formats, per_interest=feeds.per_interest
        )

    @cached_property
    def _templates(self) -> Environment:
        from digest.render import environment

        return environment(*([self.config.templates] if self.config.templates else []))

    @cached_property
    def publisher(self) -> FilePublisher:
        """What writes the public files."""
        from digest.deliver.file import FilePublisher

        return FilePublisher(self.config.output_dir, is_public=True)

    def ranker(self) -> Ranker[Any]:
        """What says which papers are related. Raises ConfigError, PluginError."""
        made: Ranker[Any] = plugins.load("rankers", self.config.ranker, folder=self.config.path.parent)()
        return made

    @cached_property
    def ways(self) -> Ways:
        """The ways out of messages."""
        from digest.ways import Ways

        return Ways(self.config, self.environ, now, self.user_agent, self._network)

    @cached_property
    def notices(self) -> Notices:
        """What composes messages for webhooks."""
        from digest.render.webhook import WebhookRenderer
        from digest.ways import Notices

        renderer = WebhookRenderer(self._templates, base_url=self.config.feeds.base_url)
        return Notices(renderer, {hook.name: hook for hook in self.config.webhooks})

    def _key_of(self, source: str, table: CredentialTable) -> Secret:
        self._keys[source] = table
        return self._secret(table)

    @cached_property
    def _keys(self) -> dict[str, CredentialTable]:
        return {}

    @property
    def keys(self) -> Mapping[str, CredentialTable]:
        """The places of the sources' keys and of the proxy's password. Raises ConfigError, PluginError."""
        _ = self.sources  # which fills them in
        password = self.config.network.proxy_password
        return self._keys | ({"proxy": password} if password else {})

    def _secret(self, table: CredentialTable) -> Secret:
        """What gives a secret when it is needed."""
        secret = self.ways.secret(table)
        return lambda: secret().reveal()

    @property
    def has_moved(self) -> bool:
        """Whether the machine is in another time zone by now, if its own is the one that counts."""
        machine = configuration.machine_timezone
        return self.config.follows_machine and machine() != self.config.timezone

    def reloaded(self) -> App:
        """The same from what the configuration says by now. Raises ConfigError, PluginError."""
        app = App(configuration.load(self.config.path), self.environ)
        _ = app.sources  # whose settings are checked, too
        return app

    # --- what is done -------------------------------------------------------------------------

    def collect(
        self, store: Store, *, at: datetime, done: Callable[[str], None] = lambda _: None
    ) -> Iterator[SourceReport]:
        """Read every source, side by side; `done` is told the name of each when it has been read."""
        lookback = max(profile.limits.lookback_days for profile in self.config.profiles)
        pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="digest-source")

        def parallel(read: Callable[[Source], Collected], sources: Sequence[Source]) -> Iterator[Collected]:
            def noted(source: Source) -> Collected:
                collected = read(source)
                done(source.name)
                return collected

            return pool.map(noted, sources)

        with closing(Fetchers(self.user_agent, self._network)) as fetcher:
            try:
                yield from pipeline.collect(
                    store,
                    self.sources,
                    fetcher,
                    now=at,
                    lookback=timedelta(days=lookback),
                    keep=self._keep,
                    parallel=parallel,
                )
            finally:  # also when somebody does not want to wait for the rest
                fetcher.close()
                pool.shutdown(cancel_futures=True)

    def _keep(self, source: str, page: Page) -> str | None:
        """Put a page aside that could not be read, the last one of each source; gives the place.

        The place begins at `data_dir`, because mails and public pages repeat it.
        """
        from digest.deliver import put

        if self.is_rehearsal:
            return None
        suffix = mimetypes.guess_extension(page.media_type or "") or ".txt"
        path = self.config.data_dir / "kept" / (re.sub(r"[^\w.-]+", "-", source) + suffix)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(path.with_name(f".{path.name}"), path, page.content, handing_over=lambda: None)
        except OSError:
            return None  # the page could not be read: that is what there is to say
        return f"data_dir/kept/{path.name}"

    def _network(self) -> Network:
        """How this machine reaches others. Raises ConfigError, CredentialError."""
        from digest.fetch.http import Network, Proxy
        from digest.ways import authorities

        table = self.config.network
        proxy = None
        if table.proxy is not None:
            password = self._secret(table.proxy_password)() if table.proxy_password else None
            proxy = Proxy(table.proxy, table.proxy_username, password, tuple(table.no_proxy))
        return Network(proxy, authorities(table.ca_file, "network.ca_file"), table.timeout)

    def compose(self, store: Store, profiles: Sequence[Profile], *, at: datetime) -> Iterator[Composed]:
        """Compose the digests that are due."""
        email = self.config.email
        yield from pipeline.compose(
            store,
            profiles,
            {"email": lambda: self.mailer, "webhook": lambda: self.notices},
            self.ranker,
            now=at,
            sources=self._source_names,
            send_empty=email is not None and email.when_empty == "send",
        )

    def dispatch(
        self,
        store: Store,
        *,
        at: datetime,
        pause: Callable[[float], bool] | None = None,
        channels: Container[Channel] | None = None,
    ) -> Generator[Dispatched]:
        """Hand over what is due, by these channels or all, and bring the public files up to date."""
        feeds = cache(partial(self._settled_feeds, store))
        ways = self.ways.out(pause or Told().wait)
        outputs = Outputs(
            ways={name: way for name, way in ways.items() if channels is None or name in channels},
            renderers={"feeds": feeds, "archive": lambda: self.archive},
            publisher=lambda: self.publisher,
        )
        yield from pipeline.dispatch(store, self.config.profiles, outputs, clock=running(at))
        publishing.complete(
            store,
            self.config.profiles,
            outputs.renderers,
            self.publisher,
            look=self._look(),
            shared=partial(self._shared, store, feeds),
        )

    def is_due(self, store: Store, *, at: datetime) -> bool:
        """Whether the slot of any profile has come."""
        return pipeline.any_due(store, self.config.profiles, at)

    def _shared(
        self, store: Store, feeds: Callable[[], FeedRenderer], newest: Sequence[Summary]
    ) -> Iterator[Artifact]:
        """What all profiles share."""
        profiles = self.config.profiles
        for artifact in feeds().of_all(profiles, newest, store.digests, store.first_digests):
            yield replace(artifact, path=f"feeds/{artifact.path}")
        yield self.archive.overview(profiles, newest)

    def _look(self) -> str:
        """What changes the look of everything that is published; made without loading a template engine."""
        folders = [resources.folder("templates"), *filter(None, [self.config.templates])]
        templates = [path for one in folders for path in sorted(one.glob("*.j2"))]
        stamps = tuple((path, (stat := path.stat()).st_mtime_ns, stat.st_size) for path in templates)
        return _hash_of_files(self._visible, stamps)

    @cached_property
    def _visible(self) -> str:
        """A hash of what can be seen of the configuration."""
        shown = [
            (one.name, one.title, one.channels, one.schedule, [interest.name for interest in one.interests])
            for one in self.config.profiles
        ]
        return _hash((resources.version(), self.config.feeds, shown))

    def find_papers(
        self,
        store: Store,
        profile: Profile,
        named: Sequence[str],
        *,
        online: bool,
        forgetting: bool = False,
        announce: Callable[[int, str], None],
    ) -> Meant:
        """The papers that somebody means by names and files, looked up where they are not stored."""
        from digest import library
        from digest.sources import read_page

        known = readers()
        with closing(Fetchers(self.user_agent, self._network)) as fetcher:

            def fetch(request: Request) -> Page:
                page = fetcher.fetch(request, now=now())
                assert page is not None  # noqa: S101 - as in `read`
                return page

            ways = library.Ways(fetch, lambda page: read_page(page, known), announce, online)
            return library.find(store, profile.name, named, ways, forgetting=forgetting)

    @property
    def _source_names(self) -> set[str]:
        return {source.name for source in self.config.sources}

    def all_stopped(self, store: Store) -> dict[str, dict[str, datetime]]:
        """The recipients of profiles who stopped the mail, and since when."""
        found = store.all_stopped()
        return {
            one.name: _of_recipients(one, found[one.name])
            for one in self.config.profiles
            if one.name in found
        }

    def access(self) -> tuple[Access, ...]:
        """Everybody to whom access was ever given. Raises StoreError."""
        with self.store() as store:
            return store.access()

    def health(self, *, at: datetime, since: datetime) -> dict[str, object]:
        """What `/healthz` says. Raises StoreError."""
        from digest import health

        with self.store() as store:
            return health.summary(self.config, store, at=at, since=since)

    def backtest(self, profile: Profile, *, at: datetime, days: int) -> Backtest:
        """What a profile would have found in the last days, beside what the others have; records nothing."""
        from digest.core.backtest import backtest

        zone = ZoneInfo(self.config.timezone)
        until = at.astimezone(zone).date()
        since = datetime.combine(until - timedelta(days=days - 1), time(), tzinfo=zone)
        with self.store() as store:
            recent = store.papers_since(first_seen=since, sources=profile.sources)
            stored = recent or store.newest_papers(_LOOKED_BACK)[::-1]
        others = [other for other in self.config.profiles if other is not profile]
        return backtest(stored, profile.interests, others, until=until, days=days, timezone=zone)

    def preview(
        self, profiles: Sequence[Profile], out: Path, *, at: datetime
    ) -> Iterator[tuple[Digest, Path]]:
        """Write what each profile would get now as files below `out/<profile>/`; records nothing."""
        from digest.deliver.file import FilePublisher

        publisher = FilePublisher(out)
        with self.store() as store:
            for profile in profiles:
                digest = pipeline.draft(store, profile, self.ranker, now=at, sources=self._source_names)
                publisher.publish(self.files(profile, digest))
                yield digest, out / profile.name

    def files(self, profile: Profile, digest: Digest) -> Iterator[Artifact]:
        """A digest in every form, below the folder of its profile."""
        recipient = profile.recipients[0] if profile.recipients else self._sender
        yield Artifact(f"{profile.name}/digest.eml", self.mailer.compose(profile, digest, recipient))
        yield Artifact(f"{profile.name}/digest.html", self.mailer.html(profile, digest, recipient).encode())
        yield Artifact(f"{profile.name}/digest.txt", self.mailer.text(profile, digest, recipient).encode())
        for artifact in self.feeds.render(profile, shelf([digest])):
            if artifact.path != MADE:
                yield replace(artifact, path=f"{profile.name}/{artifact.path}")
        yield self.feeds.style()

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
                _copy(original, copy)
            yield replace(
                self,
                config=replace(self.config, data_dir=Path(folder), database=f"{prefix}{copy}"),
                is_rehearsal=True,
            )

    @property
    def user_agent(self) -> str:
        """Who asks, honestly, with a contact where one was given (RFC 9110, 10.1.5)."""
        contact = f" (+mailto:{self.config.contact})" if self.config.contact else ""
        return f"digest/{resources.version()}{contact}"


def _copy(original: Path, copy: Path) -> None:
    """Copy a database as it is at this moment. Raises StoreError."""
    try:
        with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        from digest.store.faults import explained

        message, remedy = explained(error)
        raise StoreError(message, place=str(original), remedy=remedy) from error


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode(errors="surrogatepass")).hexdigest()


@lru_cache(maxsize=1)
def _hash_of_files(also: str, stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """A hash of files, read again when their time or size is another: each beat asks for all templates."""
    return _hash((also, [(path.name, path.read_bytes()) for path, _, _ in stamps]))


def _of_recipients(profile: Profile, stopped: Mapping[str, datetime]) -> dict[str, datetime]:
    recipients = set(map(mailbox.key, profile.recipients))
    return {address: at for address, at in stopped.items() if address in recipients}


def load(config: str | None, environ: Mapping[str, str]) -> App:
    """Read the configuration. Raises ConfigError."""
    return App(configuration.load(configuration.find(config, environ)), environ)


class _Readers(Iterable[Reader]):
    """All readers, loaded when the first page comes: most runs find that no page has changed."""

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._all)

    @cached_property
    def _all(self) -> list[Reader]:
        return readers()


def readers() -> list[Reader]:
    """Everything that can read a saved page, those that know one place first. Raises PluginError."""
    found: list[Reader] = [plugins.load("readers", name)() for name in plugins.names("readers")]
    return sorted(found, key=lambda reader: reader.generic)


def read(address: str, *, captured_on: date | None) -> Reading:
    """The papers on a saved page or behind a URL. Raises SourceError."""
    from digest.sources import read_page

    is_remote = urlsplit(address).scheme in {"http", "https"}
    url = address if is_remote else Path(address).expanduser().absolute().as_uri()
    with closing(Fetchers(f"digest/{resources.version()}")) as fetcher:
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
            follows_machine=False,
            data_dir=Path(folder),
            output_dir=out,
            templates=None,
            database=f"sqlite:///{folder}/digest.db",
            contact=None,
            sources=(SourceConfig("file", "huggingface", {"paths": [str(page.path)]}, page, ()),),
            email=None,
            webhooks=(),
            feeds=configuration.FeedsTable(),
            serve=configuration.ServeTable(),
            ranker="words",
            network=configuration.NetworkTable(),
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
    """Fetches by whatever the address asks for; `network` says how, once it is needed."""

    def __init__(self, user_agent: str, network: Callable[[], Network] | None = None) -> None:
        self._user_agent = user_agent
        self._network = network
        self._http: HttpFetcher | None = None
        self._guard = Lock()

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """Fetch a page, or give None when it has not changed. Raises FetchError."""
        if urlsplit(request.url).scheme == "file":
            from digest.fetch.file import FileFetcher

            return FileFetcher().fetch(request, now=now)
        with self._guard:  # several sources may be the first to ask
            if self._http is None:
                from digest.fetch.http import HttpFetcher, Network

                network = self._network() if self._network else Network()
                self._http = HttpFetcher(user_agent=self._user_agent, network=network)
        return self._http.fetch(request, now=now)

    def close(self) -> None:
        """Close what was opened."""
        if self._http is not None:
            self._http.close()
