"""What digest remembers, in a database.

Every method is one transaction. SQLite begins writing transactions with `BEGIN IMMEDIATE`, so that
two processes wait for each other instead of failing half-way.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from statistics import quantiles
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    delete,
    event,
    false,
    func,
    insert,
    inspect,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from digest.core import identity
from digest.core.access import Access
from digest.core.model import (
    Appearance,
    Channel,
    Delivery,
    DeliveryState,
    Digest,
    Judgement,
    Listing,
    Opinion,
    Page,
    Paper,
    PaperId,
    PlannedDelivery,
    Progress,
    Recommendation,
    Request,
    SourceReport,
    StoredPaper,
    Summary,
)
from digest.errors import SchemaError, StoreError
from digest.store import records, schema
from digest.store.schema import (
    access,
    aliases,
    deliveries,
    digests,
    judgements,
    lessons,
    listings,
    pages,
    papers,
    progress,
    recommendations,
    reports,
    settled,
    shown,
    snapshots,
    stopped,
)

_CHUNK = 500  # values in one IN (…): SQLite allows 32,766 variables, older ones 999
_VOTED = 1000  # papers of a source whose upvotes say what is many there
_VOTED_AT_LEAST = 20  # below, nothing is many
_OPEN = (DeliveryState.PLANNED, DeliveryState.DEFERRED)


class Store:
    """The database behind a SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        """Open the database, making or migrating its tables. Raises StoreError, SchemaError."""
        try:
            self._engine = create_engine(url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(
                f"no database can be opened by this address: {error}",
                place="database",
                remedy="Give sqlite:///PATH or postgresql+psycopg://….",
            ) from error
        self._place = make_url(url).render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            _tune_sqlite(self._engine)
        try:
            with self._translated():
                self._migrate()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # --- transactions -------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(
                f"the database does not answer: {error.orig}",
                place=self._place,
                remedy="Check that its folder exists, is writable and has room, and that it is digest's.",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.connect().execution_options(reads=True) as connection:
            yield connection

    def _insert(self, table: Any) -> Any:  # noqa: ANN401 - the two dialects share no type for it
        dialect = importlib.import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        return dialect.insert(table)

    def _migrate(self) -> None:
        with self._reading() as connection:  # who only looks waits for no run that writes
            if self._version(connection) == schema.HEAD:
                return
        with self._engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            version = self._version(connection)
            if version is not None and version > schema.HEAD:
                raise SchemaError(
                    f"this database is of version {version}, and this digest knows none after {schema.HEAD}",
                    place=self._place,
                    remedy="Install the newer digest again, or name another data_dir.",
                )
            if version is None and tables:
                raise SchemaError(
                    "this database belongs to another program",
                    place=self._place,
                    remedy="Name another database or data_dir.",
                )
            from alembic import command  # costs 0.1 s and is needed once
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _version(self, connection: Connection) -> str | None:
        """The migration that a database is at."""
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version

    # --- collect ------------------------------------------------------------------------------

    def last_complete(self, source: str) -> datetime | None:
        """Until when a source has been read completely."""
        query = select(func.max(reports.c.until)).where(reports.c.source == source, reports.c.complete)
        with self._reading() as connection:
            return records.optional_instant(connection.execute(query).scalar())

    def with_validators(self, source: str, request: Request) -> Request:
        """A request with the validators of the copy that was read last."""
        query = select(pages.c.etag, pages.c.last_modified).where(
            pages.c.source == source, pages.c.url == request.url
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
        return request if row is None else replace(request, etag=row.etag, last_modified=row.last_modified)

    def add(self, found: Sequence[Listing], read: Iterable[Page], report: SourceReport) -> SourceReport:
        """Keep what a source showed, the validators of its pages, and how it went, all or nothing.

        Gives the report with `new` counted.
        """
        new = 0
        with self._writing() as connection:
            revision = self._revision(connection)
            for listing in found:
                key, is_new, changed = self._upsert(
                    connection, listing.paper, revision + 1, report.period.until
                )
                new += is_new
                revision += changed
                row = {"paper": key, **records.listing_row(listing)}
                statement = self._insert(listings).values(row | {"first_upvotes": listing.upvotes})
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["paper", "source", "listed_on"],
                        set_={
                            name: statement.excluded[name]
                            for name in ("position", "upvotes", "comments", "announce_type")
                        },
                    )
                )
            for page in read:
                row = {
                    "source": report.source,
                    "url": page.url,
                    "etag": page.etag,
                    "last_modified": page.last_modified,
                    "fetched_at": records.seconds(page.fetched_at),
                }
                connection.execute(
                    self._insert(pages)
                    .values(row)
                    .on_conflict_do_update(index_elements=["source", "url"], set_=row)
                )
            row = records.report_row(report) | {"new": new}
            connection.execute(insert(reports).values(row))
        return records.report(row)

    def _revision(self, connection: Connection) -> int:
        query = select(func.coalesce(func.max(papers.c.revision), 0))
        newest: int = connection.execute(query).scalar_one()
        return newest

    def _upsert(
        self, connection: Connection, paper: Paper, revision: int, now: datetime
    ) -> tuple[int, bool, bool]:
        """Insert or merge a paper; gives its key, whether it is new, and whether its words changed."""
        names = identity.aliases(paper)
        known, taken = self._known(connection, paper)
        if not known:
            key = connection.execute(
                insert(papers)
                .values(revision=revision, first_seen=records.seconds(now), **records.paper_row(paper))
                .returning(papers.c.id)
            ).scalar_one()
            self._name(connection, key, names)
            return key, True, True
        (key, merged), *others = known.items()
        before = merged
        for other, its in others:
            merged = identity.merge(its, merged)
            self._absorb(connection, other, into=key)
        merged = identity.merge(merged, paper)
        changed = merged != before and not identity.same_words(before, merged)
        if merged != before:
            values = records.paper_row(merged) | ({"revision": revision} if changed else {})
            connection.execute(update(papers).where(papers.c.id == key).values(values))
        self._name(
            connection, key, [name for name in (*names, *identity.aliases(merged)) if name not in taken]
        )
        return key, False, changed

    def _known(self, connection: Connection, paper: Paper) -> tuple[dict[int, Paper], set[str]]:
        """What is stored of a paper, by key, and those of its aliases that are somebody's."""
        rows = connection.execute(
            select(papers, aliases.c.alias)
            .join(aliases)
            .where(aliases.c.alias.in_(identity.aliases(paper)))
            .order_by(papers.c.id)
        ).mappings()
        known: dict[int, Paper] = {}
        taken: set[str] = set()
        for row in rows:
            taken.add(row["alias"])
            found = records.paper(row)
            by_title = identity.is_bare(PaperId(row["alias"]))
            if identity.may_merge(found, paper, by_title=by_title):
                known[row["id"]] = found
        return known, taken

    def _name(self, connection: Connection, key: int, names: Iterable[PaperId]) -> None:
        rows = [{"alias": name, "paper": key} for name in dict.fromkeys(names)]
        if rows:
            connection.execute(self._insert(aliases).on_conflict_do_nothing(), rows)

    def _absorb(self, connection: Connection, other: int, *, into: int) -> None:
        """Give everything that hangs on one record of a paper to another one."""
        connection.execute(update(aliases).where(aliases.c.paper == other).values(paper=into))
        connection.execute(update(recommendations).where(recommendations.c.paper == other).values(paper=into))
        for table, keys in ((listings, ("source", "listed_on")), (shown, ("profile",))):
            twin = table.alias()
            doubled = select(twin.c.paper).where(
                twin.c.paper == into, *(twin.c[key] == table.c[key] for key in keys)
            )
            connection.execute(delete(table).where(table.c.paper == other, doubled.exists()))
            connection.execute(update(table).where(table.c.paper == other).values(paper=into))
        connection.execute(delete(papers).where(papers.c.id == other))

    # --- compose ------------------------------------------------------------------------------

    def revision(self) -> int:
        """The number of the newest change to a paper's words."""
        with self._reading() as connection:
            return self._revision(connection)

    def progress(self, profile: str) -> Progress | None:
        """How far a profile has come; None before its first digest."""
        with self._reading() as connection:
            row = connection.execute(select(progress).where(progress.c.profile == profile)).first()
        return None if row is None else Progress(records.instant(row.slot), row.revision)

    def papers_since(
        self,
        *,
        revision: int = 0,
        first_seen: datetime | None = None,
        sources: Sequence[str] = (),
        not_shown_to: str | None = None,
    ) -> tuple[StoredPaper, ...]:
        """Papers whose words are newer than a revision, oldest first, as far as the rest allows."""
        query = select(papers).where(papers.c.revision > revision).order_by(papers.c.revision)
        if first_seen is not None:
            query = query.where(papers.c.first_seen >= records.seconds(first_seen))
        if not_shown_to is not None:
            query = query.where(_not_shown_to(not_shown_to))
        return self._papers(_of_sources(query, sources))

    def waiting(self, profile: str, *, sources: Sequence[str] = ()) -> tuple[StoredPaper, ...]:
        """The papers that the last digest of a profile kept for the next one, in their order."""
        last = (
            select(digests.c.id).where(digests.c.profile == profile).order_by(digests.c.slot.desc()).limit(1)
        )
        # Two of them may have turned out to be one paper since.
        kept = (
            select(recommendations.c.paper, func.min(recommendations.c.rank).label("rank"))
            .where(recommendations.c.digest == last.scalar_subquery(), recommendations.c.kind == "waiting")
            .group_by(recommendations.c.paper)
            .subquery()
        )
        query = select(papers).join(kept, kept.c.paper == papers.c.id).order_by(kept.c.rank)
        return self._papers(_of_sources(query.where(_not_shown_to(profile)), sources))

    def risen(
        self, profile: str, *, before: int, first_seen: datetime, sources: Sequence[str] = ()
    ) -> tuple[StoredPaper, ...]:
        """Papers that drew attention after a profile had passed them over, oldest first.

        They were first seen at `first_seen` or later, their words are of the revision `before` or
        older, and the profile was never shown them. Their upvotes at a source have come to its 0.9
        quantile, from below or from where they were not known.
        """
        of_sources = listings.c.source.in_(sources) if sources else true()
        many = self._many_upvotes(of_sources)
        rose = (
            select(listings.c.paper)
            .where(listings.c.upvotes.is_not(None), of_sources)
            .group_by(listings.c.paper, listings.c.source)
            .having(
                or_(
                    false(),
                    *(
                        (listings.c.source == source)
                        & (func.max(listings.c.upvotes) >= least)
                        # A paper may be listed again, with the votes that it has by then.
                        & (func.min(func.coalesce(listings.c.first_upvotes, -1)) < least)
                        for source, least in many.items()
                    ),
                )
            )
        )
        query = (
            select(papers)
            .where(
                papers.c.revision <= before,
                papers.c.first_seen >= records.seconds(first_seen),
                papers.c.id.in_(rose),
                _not_shown_to(profile),
            )
            .order_by(papers.c.revision)
        )
        return self._papers(query)

    def _many_upvotes(self, of_sources: ColumnElement[bool]) -> dict[str, float]:
        """The 0.9 quantile of the upvotes at each source, over its newest papers with known ones."""
        by_paper = (
            select(
                listings.c.source,
                func.max(listings.c.upvotes).label("upvotes"),
                func.row_number()
                .over(partition_by=listings.c.source, order_by=listings.c.paper.desc())
                .label("place"),
            )
            .where(listings.c.upvotes.is_not(None), of_sources)
            .group_by(listings.c.source, listings.c.paper)
            .subquery()
        )
        upvotes: dict[str, list[int]] = defaultdict(list)
        with self._reading() as connection:
            query = select(by_paper.c.source, by_paper.c.upvotes).where(by_paper.c.place <= _VOTED)
            for source, votes in connection.execute(query):
                upvotes[source].append(votes)
        return {
            source: max(1, quantiles(votes, n=10, method="inclusive")[-1])
            for source, votes in upvotes.items()
            if len(votes) >= _VOTED_AT_LEAST
        }

    def paper_count(self) -> int:
        """How many papers are stored."""
        with self._reading() as connection:
            return connection.execute(select(func.count()).select_from(papers)).scalar_one()

    def newest_papers(self, limit: int) -> tuple[StoredPaper, ...]:
        """The papers that came last, newest first."""
        return self._papers(select(papers).order_by(papers.c.revision.desc()).limit(limit))

    def find_papers(self, wanted: str) -> tuple[StoredPaper, ...]:
        """The papers that an identifier, an address or a piece of a title means, newest first."""
        wanted = wanted.encode(errors="replace").decode()  # an argument may be any bytes (PEP 383)
        named = select(aliases.c.paper).where(aliases.c.alias.in_(identity.names(wanted)))
        exact = self._papers(select(papers).where(papers.c.id.in_(named)))
        if exact:
            return exact
        pattern = "%" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        return self._papers(
            select(papers)
            .where(papers.c.title.ilike(pattern, escape="\\") | (papers.c.url == wanted))
            .order_by(papers.c.revision.desc())
            .limit(20)
        )

    def known(self, met: Paper) -> Paper | None:
        """What is stored of a paper."""
        with self._reading() as connection:
            known, _ = self._known(connection, met)
        return next(iter(known.values()), None)

    def appearances(self, profile: str, paper: PaperId) -> tuple[Appearance, ...]:
        """What the digests of a profile said of a paper, newest first."""
        others = recommendations.alias()
        lowest = (
            select(func.min(others.c.score))
            .where(others.c.digest == digests.c.id, others.c.kind == "section")
            .scalar_subquery()
        )
        query = (
            select(recommendations, digests.c.slot, lowest.label("lowest"))
            .join(digests)
            .join(aliases, aliases.c.paper == recommendations.c.paper)
            .where(digests.c.profile == profile, aliases.c.alias == paper)
            .order_by(digests.c.slot.desc(), recommendations.c.rank)
        )
        with self._reading() as connection:
            return tuple(records.appearance(row) for row in connection.execute(query).mappings())

    def _papers(self, query: Any) -> tuple[StoredPaper, ...]:  # noqa: ANN401 - a select of papers
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
            found: dict[int, list[Any]] = defaultdict(list)
            keys = [row["id"] for row in rows]
            for at in range(0, len(keys), _CHUNK):
                part = (
                    select(listings)
                    .where(listings.c.paper.in_(keys[at : at + _CHUNK]))
                    .order_by(listings.c.listed_on)
                )
                for row in connection.execute(part).mappings():
                    found[row["paper"]].append(row)
        result = []
        for row in rows:
            paper = records.paper(row)
            own = tuple(records.listing(item, paper) for item in found[row["id"]])
            result.append(StoredPaper(paper, own, records.instant(row["first_seen"])))
        return tuple(result)

    def latest_reports(self) -> tuple[SourceReport, ...]:
        """How the last reading of each source went."""
        last = select(func.max(reports.c.id)).group_by(reports.c.source)
        with self._reading() as connection:
            rows = connection.execute(
                select(reports).where(reports.c.id.in_(last)).order_by(reports.c.source)
            ).mappings()
            return tuple(records.report(row) for row in rows)

    def last_told(self, profile: str) -> tuple[SourceReport, ...]:
        """The reports that the last digest of a profile showed."""
        query = (
            select(digests.c.reports)
            .where(digests.c.profile == profile)
            .order_by(digests.c.slot.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return tuple(records.report(row) for row in found or ())

    def save(
        self, profile: str, made: Progress, digest: Digest | None, planned: Sequence[PlannedDelivery]
    ) -> bool:
        """Write a digest, its deliveries and what it showed in one transaction.

        `digest` is None for a slot in which there was nothing to say. Gives False, and writes
        nothing, when another process has composed the slot meanwhile.
        """
        with self._writing() as connection:
            row = {"profile": profile, "slot": records.seconds(made.slot), "revision": made.revision}
            statement = self._insert(progress).values(row)
            moved = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["profile"], set_=row, where=progress.c.slot < statement.excluded.slot
                ).returning(progress.c.profile)
            )
            if moved.first() is None:
                return False
            if digest is not None:
                self._save_digest(connection, digest, planned)
        return True

    def _save_digest(
        self, connection: Connection, digest: Digest, planned: Sequence[PlannedDelivery]
    ) -> None:
        connection.execute(insert(digests).values(records.digest_row(digest)))
        items: list[tuple[str, str, Recommendation]] = [
            (section.kind, section.interest, item)
            for section in digest.sections
            for item in section.recommendations
        ]
        items += [("overflow", "", item) for item in digest.overflow]
        items += [("waiting", "", item) for item in digest.waiting]
        items += [("near_miss", "", item) for item in digest.near_misses]
        for rank, (kind, section, item) in enumerate(items):
            key = connection.execute(
                select(aliases.c.paper).where(aliases.c.alias == item.paper.id)
            ).scalar_one()
            digest_hash, content = records.snapshot(item)
            connection.execute(
                self._insert(snapshots).values(hash=digest_hash, content=content).on_conflict_do_nothing()
            )
            row = {
                "digest": digest.id,
                "rank": rank,
                "paper": key,
                "snapshot": digest_hash,
                "section": section,
                "kind": kind,
            }
            connection.execute(insert(recommendations).values(row | records.recommendation_row(item)))
            if kind not in {"waiting", "near_miss"}:
                connection.execute(
                    self._insert(shown)
                    .values(profile=digest.profile, paper=key, digest=digest.id)
                    .on_conflict_do_nothing()
                )
        for plan in planned:
            connection.execute(
                insert(deliveries).values(
                    digest=digest.id,
                    profile=digest.profile,
                    channel=plan.channel,
                    recipient=plan.recipient,
                    state=DeliveryState.PLANNED,
                    attempts=0,
                    message=plan.message,
                )
            )

    # --- what people like, and what was learned -----------------------------------------------

    def judge(self, profile: str, papers: Sequence[Paper], opinion: Opinion | None, *, now: datetime) -> int:
        """Keep what a person thinks of papers, or forget it (None); gives how many that changed.

        A paper that was judged under another of its identifiers is the same paper. Who says the same
        again keeps the day on which it was said first, and whatever is known of the paper by now.
        """
        changed = 0
        own = judgements.c.profile == profile
        with self._writing() as connection:
            before = {
                row["paper_id"]: records.judgement(row)
                for row in connection.execute(select(judgements).where(own)).mappings()
            }
            said = dict(before)
            named: dict[PaperId, list[PaperId]] = defaultdict(list)
            for key, judgement in said.items():
                for name in identity.aliases(judgement.paper):
                    named[name].append(key)
            for met in papers:
                keys = {
                    key: None
                    for name in identity.aliases(met)
                    for key in named[name]
                    if key in said
                    and identity.may_merge(said[key].paper, met, by_title=identity.is_bare(name))
                }
                earlier = [said.pop(key) for key in keys]
                is_said = bool(earlier) and all(one.opinion is opinion for one in earlier)
                changed += bool(earlier) if opinion is None else not is_said
                if opinion is not None:
                    paper = reduce(identity.merge, (*(one.paper for one in earlier), met))
                    at = min(one.at for one in earlier) if is_said else now
                    said[paper.id] = Judgement(paper, opinion, at)
                    for name in identity.aliases(paper):
                        named[name].append(paper.id)
            gone = [key for key in before if key not in said]
            for start in range(0, len(gone), _CHUNK):
                part = judgements.c.paper_id.in_(gone[start : start + _CHUNK])
                connection.execute(delete(judgements).where(own, part))
            rows = [
                {"profile": profile, **records.judgement_row(judgement)}
                for key, judgement in said.items()
                if judgement != before.get(key)
            ]
            if rows:
                self._put(connection, judgements, rows)
        return changed

    def judgements(self, profile: str) -> tuple[Judgement, ...]:
        """What a person thinks of papers, in the order in which it was said."""
        query = (
            select(judgements)
            .where(judgements.c.profile == profile)
            .order_by(judgements.c.at, judgements.c.paper_id)
        )
        with self._reading() as connection:
            return tuple(records.judgement(row) for row in connection.execute(query).mappings())

    def lesson(self, key: str) -> tuple[int, str] | None:
        """What a ranker learned, after the number of papers that were stored then."""
        query = select(lessons.c.papers, lessons.c.content).where(lessons.c.key == key)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.papers, row.content)

    def keep_lesson(self, key: str, papers: int, content: str) -> None:
        """Keep what a ranker learned in the place of what it had learned under that key."""
        with self._writing() as connection:
            self._put(connection, lessons, [{"key": key, "papers": papers, "content": content}])

    def _put(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows in the place of those with the same primary key."""
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)

    # --- who wants no more mail ---------------------------------------------------------------

    def stop(self, profile: str, address: str, *, now: datetime) -> None:
        """Send no more mail of a profile to an address, a `digest.core.mailbox.key`."""
        row = {"profile": profile, "address": address, "at": records.seconds(now)}
        with self._writing() as connection:
            # Who says it again has said it before.
            connection.execute(self._insert(stopped).values(row).on_conflict_do_nothing())

    def resume(self, profile: str, address: str) -> bool:
        """Send mail of a profile to an address again; gives whether that had been stopped."""
        one = (stopped.c.profile == profile) & (stopped.c.address == address)
        with self._writing() as connection:
            return connection.execute(delete(stopped).where(one)).rowcount > 0

    def stopped(self, profile: str) -> dict[str, datetime]:
        """The addresses that want no more mail of a profile, and since when, oldest first."""
        query = (
            select(stopped.c.address, stopped.c.at)
            .where(stopped.c.profile == profile)
            .order_by(stopped.c.at, stopped.c.address)
        )
        with self._reading() as connection:
            return {address: records.instant(at) for address, at in connection.execute(query)}

    # --- what the server asks -----------------------------------------------------------------

    def give_access(self, given: Access) -> bool:
        """Let somebody read; False if somebody of that name may already."""
        row = {
            "name": given.name,
            "hash": given.hash,
            "profile": given.profile,
            "at": records.seconds(given.at),
        }
        statement = self._insert(access).values(row)
        with self._writing() as connection:
            done = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"], set_=row, where=access.c.hash == ""
                ).returning(access.c.name)
            )
            return done.first() is not None

    def revoke_access(self, name: str) -> bool:
        """Let somebody read no more; False if nobody of that name could.

        The name stays, so that what was closed once does not open itself when the last reader is gone.
        """
        theirs = (access.c.name == name) & (access.c.hash != "")
        with self._writing() as connection:
            return connection.execute(update(access).where(theirs).values(hash="")).rowcount > 0

    def access(self) -> tuple[Access, ...]:
        """Everybody to whom access was ever given, by name; the hash is empty where it was revoked."""
        with self._reading() as connection:
            rows = connection.execute(select(access).order_by(access.c.name))
            return tuple(Access(row.name, row.hash, row.profile, records.instant(row.at)) for row in rows)

    def all_progress(self) -> dict[str, Progress]:
        """How far every profile has come that ever had a slot."""
        with self._reading() as connection:
            rows = connection.execute(select(progress))
            return {row.profile: Progress(records.instant(row.slot), row.revision) for row in rows}

    # --- dispatch -----------------------------------------------------------------------------

    def digests(self, ids: Sequence[str]) -> dict[str, Digest]:
        """The digests of these ids."""
        found: dict[str, Digest] = {}
        with self._reading() as connection:
            for start in range(0, len(ids), _CHUNK):
                part = ids[start : start + _CHUNK]
                heads = connection.execute(select(digests).where(digests.c.id.in_(part))).mappings().all()
                items: dict[str, list[Any]] = defaultdict(list)
                query = (
                    select(recommendations, snapshots.c.content)
                    .join(snapshots)
                    .where(recommendations.c.digest.in_(part))
                    .order_by(recommendations.c.digest, recommendations.c.rank)
                )
                for row in connection.execute(query).mappings():
                    items[row["digest"]].append(row)
                found |= {head["id"]: records.digest(head, items[head["id"]]) for head in heads}
        return found

    def summaries(self, profile: str) -> tuple[Summary, ...]:
        """What the digests of a profile hold, newest first."""
        return self._summaries(select(digests).where(digests.c.profile == profile))

    def newest_summaries(self, limit: int) -> tuple[Summary, ...]:
        """What the digests that were made last hold, newest first, whosever they are."""
        return self._summaries(select(digests).order_by(digests.c.issued_at.desc()).limit(limit))

    def _summaries(self, query: Any) -> tuple[Summary, ...]:  # noqa: ANN401 - a select of digests
        wanted = query.subquery()
        counted = (
            select(
                recommendations.c.digest,
                recommendations.c.section,
                recommendations.c.kind,
                func.count().label("papers"),
            )
            .join(wanted, wanted.c.id == recommendations.c.digest)
            .where(recommendations.c.kind.not_in(("waiting", "near_miss")))
            .group_by(recommendations.c.digest, recommendations.c.section, recommendations.c.kind)
            .order_by(func.min(recommendations.c.rank))
        )
        with self._reading() as connection:
            heads = connection.execute(
                # Slots go forward even where clocks went back.
                select(wanted).order_by(wanted.c.slot.desc(), wanted.c.issued_at.desc(), wanted.c.profile)
            ).mappings()
            counts: dict[str, list[Any]] = defaultdict(list)
            for row in connection.execute(counted).mappings():
                counts[row["digest"]].append(row)
            return tuple(records.summary(head, counts[head["id"]]) for head in heads)

    def first_digests(self, papers: Iterable[PaperId], profiles: Container[str]) -> dict[PaperId, str]:
        """The digests of these profiles that recommended each of these papers first."""
        found: dict[PaperId, str] = {}
        wanted = sorted(papers)
        with self._reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                query = (
                    select(aliases.c.alias, digests.c.id, digests.c.profile)
                    .join(recommendations, recommendations.c.paper == aliases.c.paper)
                    .join(digests)
                    .where(
                        aliases.c.alias.in_(wanted[start : start + _CHUNK]),
                        recommendations.c.kind.not_in(("overflow", "waiting", "near_miss")),
                    )
                    .order_by(digests.c.issued_at, digests.c.profile)
                )
                for alias, digest, profile in connection.execute(query):
                    if profile in profiles:
                        found.setdefault(PaperId(alias), digest)
        return found

    def settle(self, name: str, value: str) -> str:
        """Keep a value for good, unless another one was kept before; gives the one that is kept."""
        row = {"name": name, "value": value}
        with self._writing() as connection:
            connection.execute(self._insert(settled).values(row).on_conflict_do_nothing())
            query = select(settled.c.value).where(settled.c.name == name)
            kept: str = connection.execute(query).scalar_one()
        return kept

    def recover(self) -> int:
        """Put right what a killed run left behind; call it while no other run is active.

        A delivery that was being sent had not been handed over, so it is planned again; one that was
        being handed over may have arrived. Gives how many are uncertain now.
        """
        with self._writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.SENDING)
                .values(state=DeliveryState.PLANNED)
            )
            return connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.HANDING_OVER)
                .values(
                    state=DeliveryState.UNCERTAIN,
                    error="the program was stopped while the message was handed over",
                )
            ).rowcount

    def resend_uncertain(self) -> None:
        """Plan every uncertain delivery again, with the same bytes."""
        with self._writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.UNCERTAIN)
                .values(state=DeliveryState.PLANNED)
            )

    def claim(self, channels: Sequence[Channel], now: datetime) -> Delivery | None:
        """Take the next delivery that is due, marking it as being sent; None when there is none."""
        due = (
            select(deliveries)
            .where(
                deliveries.c.state.in_(_OPEN),
                deliveries.c.channel.in_(channels),
                (deliveries.c.not_before.is_(None)) | (deliveries.c.not_before <= records.seconds(now)),
            )
            .order_by(deliveries.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._writing() as connection:
            row = connection.execute(due).mappings().first()
            if row is None:
                return None
            values = {"state": DeliveryState.SENDING, "attempts": row["attempts"] + 1}
            connection.execute(update(deliveries).where(deliveries.c.id == row["id"]).values(values))
            return records.delivery(dict(row) | values)

    def mark(
        self,
        delivery: int,
        state: DeliveryState,
        *,
        error: str | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Write down where a delivery stands now."""
        with self._writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery)
                .values(
                    state=state,
                    error=error,
                    not_before=None if not_before is None else records.seconds(not_before),
                )
            )

    def deliveries(self, *states: DeliveryState) -> tuple[Delivery, ...]:
        """The deliveries in any of these states, oldest first; all of them when none is named."""
        query = select(deliveries).order_by(deliveries.c.id)
        if states:
            query = query.where(deliveries.c.state.in_(states))
        with self._reading() as connection:
            return tuple(records.delivery(row) for row in connection.execute(query).mappings())


def _not_shown_to(profile: str) -> ColumnElement[bool]:
    return papers.c.id.not_in(select(shown.c.paper).where(shown.c.profile == profile))


def _of_sources(query: Any, sources: Sequence[str]) -> Any:  # noqa: ANN401 - a select of papers
    """The papers of a query that any of these sources listed; all of them when none is named."""
    if not sources:
        return query
    return query.where(papers.c.id.in_(select(listings.c.paper).where(listings.c.source.in_(sources))))


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None  # we begin transactions ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
