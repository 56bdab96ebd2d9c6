"""What sources showed: papers, under every name that they have, and how the reading went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import quantiles
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    func,
    insert,
    select,
    text,
    union,
    update,
)

from digest.core import identity
from digest.core.model import Listing, Page, Paper, PaperId, Request, SourceReport, StoredPaper
from digest.store import records
from digest.store.database import CHUNK, Database
from digest.store.schema import (
    aliases,
    listings,
    pages,
    papers,
    progress,
    recommendations,
    reports,
    shown,
)

_REPORTS = 200  # of each source, whatever they say: of a run each hour for a week
_DAY = 86_400  # seconds
_VOTED = 1000  # papers of a source whose upvotes say what is many there
_VOTED_AT_LEAST = 20  # below, nothing is many


class Papers(Database):
    """Papers, their listings and what was reported of sources."""

    def last_complete(self, source: str, now: datetime) -> datetime | None:
        """Until when a source has been read completely; what a clock that was ahead says does not count."""
        query = select(func.max(reports.c.until)).where(
            reports.c.source == source, reports.c.complete, reports.c.until <= records.seconds(now)
        )
        with self._reading() as connection:
            return records.optional_instant(connection.execute(query).scalar())

    def latest_reports(self) -> tuple[SourceReport, ...]:
        """How the last reading of each source went."""
        last = select(func.max(reports.c.id)).group_by(reports.c.source)
        with self._reading() as connection:
            rows = connection.execute(
                select(reports).where(reports.c.id.in_(last)).order_by(reports.c.source)
            ).mappings()
            return tuple(records.report(row) for row in rows)

    def failing_since(self) -> dict[str, datetime]:
        """When the sources that fail now were seen to fail first since they were read completely."""
        since: dict[str, datetime] = {}
        with self._reading() as connection:
            # One by one, so that each looks at its newest reports alone.
            for source in connection.execute(select(reports.c.source).distinct()).scalars().all():
                own = reports.c.source == source
                complete = select(func.max(reports.c.id)).where(own, reports.c.complete).scalar_subquery()
                later = reports.c.id > func.coalesce(complete, 0)
                until = connection.execute(select(func.min(reports.c.until)).where(own, later)).scalar()
                if until is not None:
                    since[source] = records.instant(until)
        return since

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
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                # Revisions and names are given by one at a time; SQLite has one writer anyway.
                connection.execute(text("LOCK TABLE papers IN SHARE ROW EXCLUSIVE MODE"))
            keys, new = self._keep(connection, [listing.paper for listing in found], report.period.until)
            shows = [
                {"paper": key, "first_upvotes": listing.upvotes, **records.listing_row(listing)}
                for key, listing in zip(keys, found, strict=True)
            ]
            validators = [
                {
                    "source": report.source,
                    "url": page.url,
                    "etag": page.etag,
                    "last_modified": page.last_modified,
                    "fetched_at": records.seconds(page.fetched_at),
                }
                for page in read
            ]
            if shows:
                self._put(connection, listings, shows, but=("first_upvotes",))
            if validators:
                self._put(connection, pages, validators)
            row = records.report_row(report) | {"new": new}
            connection.execute(insert(reports).values(row))
            self._forget_report(connection, report.source)
        return records.report(row)

    def _forget_report(self, connection: Connection, source: str) -> None:
        """Forget one report of a source that is old and says nothing that a newer one does not.

        One a day stays that says until when the source is complete: of newer ones, a clock that is ahead
        may have written any number.
        """
        own = reports.c.source == source
        old = select(reports.c.id).where(own).order_by(reports.c.id.desc()).offset(_REPORTS).limit(1)
        newer = reports.alias()
        is_same_day = newer.c.until // _DAY == reports.c.until // _DAY
        later = select(newer.c.id).where(
            newer.c.source == source,
            newer.c.id > reports.c.id,
            newer.c.complete,
            ~reports.c.complete | is_same_day,
        )
        connection.execute(delete(reports).where(reports.c.id == old.scalar_subquery(), later.exists()))

    def _revision(self, connection: Connection) -> int:
        query = select(func.coalesce(func.max(papers.c.revision), 0))
        newest: int = connection.execute(query).scalar_one()
        return newest

    def _keep(self, connection: Connection, met: Sequence[Paper], now: datetime) -> tuple[list[int], int]:
        """Insert or merge papers, one after another; gives the key of each, and how many are new.

        What is stored of them is read at once, and new ones are written together: a statement for each
        would take longer than all else that a day's papers ask for.
        """
        revision, new = self._revision(connection), 0
        stored = self._stored(connection, {name for paper in met for name in _names(paper)})
        keys = [0] * len(met)
        rows: dict[int, dict[str, Any]] = {}  # by place: papers that are still to be written …
        waiting: dict[PaperId, int] = {}  # … and their names

        def write() -> None:
            made = insert(papers).returning(papers.c.id, sort_by_parameter_order=True)
            for place, key in zip(rows, connection.execute(made, [*rows.values()]).scalars(), strict=True):
                keys[place] = key
            self._name(connection, {name: keys[place] for name, place in waiting.items()})

        for place, paper in enumerate(met):
            names = _names(paper)
            if not waiting.keys().isdisjoint(names):
                write()
                stored |= self._stored(connection, waiting)
                rows.clear()
                waiting.clear()
            known = self._known(paper, stored)
            if not known:
                revision += 1
                new += 1
                # What shares its title with another and has no identifier is known by its authors as well.
                its = replace(paper, id=identity.byline_id(paper)) if paper.id in stored else paper
                row = {"revision": revision, "first_seen": records.seconds(now)}
                rows[place] = row | records.paper_row(its)
                waiting |= {name: place for name in identity.aliases(its) if name not in stored}
                continue
            key = keys[place] = min(known)
            revision += self._merge(connection, paper, known, stored, revision + 1)
            if len(known) > 1:
                keys = [key if one in known else one for one in keys]
        if rows:
            write()
        return keys, new

    def _stored(self, connection: Connection, names: Iterable[PaperId]) -> dict[PaperId, RowMapping]:
        """The rows of the papers that have these names, by name."""
        found, every = dict[PaperId, RowMapping](), list(names)
        for at in range(0, len(every), CHUNK):
            some = aliases.c.alias.in_(every[at : at + CHUNK])
            rows = connection.execute(select(papers, aliases.c.alias).join(aliases).where(some))
            found |= {row["alias"]: row for row in rows.mappings()}
        return found

    def _known(self, paper: Paper, stored: Mapping[PaperId, RowMapping]) -> dict[int, Paper]:
        """What is stored of a paper, by key, the oldest first."""
        rows = {name: stored[name] for name in _names(paper) if name in stored}
        byline = identity.byline_id(paper) if identity.is_bare(paper.id) else None
        known: dict[int, Paper] = {}
        for name, row in sorted(rows.items(), key=lambda item: item[1]["id"]):
            if row["id"] not in known:
                found = records.paper(row)
                by_title = identity.is_bare(name) and name != byline
                if identity.may_merge(found, paper, by_title=by_title):
                    known[row["id"]] = found
        return known

    def _merge(
        self,
        connection: Connection,
        paper: Paper,
        known: Mapping[int, Paper],
        stored: dict[PaperId, RowMapping],
        revision: int,
    ) -> bool:
        """Merge a paper into what is known of it; gives whether its words changed."""
        (key, merged), *others = known.items()
        before = merged
        for other, its in others:
            merged = identity.merge(its, merged)
            self._absorb(connection, other, into=key)
        merged = identity.merge(merged, paper)
        names = {name for name in identity.aliases(paper) if name not in stored}
        if merged == before and not others and not names:
            return False
        changed = merged != before and not identity.same_words(before, merged)
        if merged != before:
            values = records.paper_row(merged) | ({"revision": revision} if changed else {})
            connection.execute(update(papers).where(papers.c.id == key).values(values))
        self._name(connection, dict.fromkeys((*names, *identity.aliases(merged)), key))
        again = {name for name, row in stored.items() if row["id"] in known}
        stored |= self._stored(connection, again | names)
        return changed

    def _name(self, connection: Connection, keys: Mapping[PaperId, int]) -> None:
        """Give papers names, but for those that are somebody's."""
        rows = [{"alias": name, "paper": key} for name, key in keys.items()]
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

    def revision(self) -> int:
        """The number of the newest change to a paper's words."""
        with self._reading() as connection:
            return self._revision(connection)

    def papers_since(
        self,
        *,
        revision: int = 0,
        first_seen: datetime | None = None,
        sources: Sequence[str] = (),
        not_shown_to: str | None = None,
    ) -> tuple[StoredPaper, ...]:
        """Papers whose words are newer than a revision, oldest first, as far as the rest allows."""
        # Of two indexes, SQLite would take the one that is in order, however much of it there is.
        by_day = first_seen is not None
        query = select(papers).where((papers.c.revision + 0 if by_day else papers.c.revision) > revision)
        query = query.order_by(papers.c.revision + 0 if by_day else papers.c.revision)
        if first_seen is not None:
            query = query.where(papers.c.first_seen >= records.seconds(first_seen))
        if not_shown_to is not None:
            query = query.where(_not_shown_to(not_shown_to))
        return self._papers(_of_sources(query, sources))

    def waiting(self, profile: str, *, sources: Sequence[str] = ()) -> tuple[StoredPaper, ...]:
        """The papers that the last digest of a profile kept for the next one, in their order."""
        last = select(progress.c.digest).where(progress.c.profile == profile).scalar_subquery()
        # Two of them may have turned out to be one paper since.
        kept = (
            select(recommendations.c.paper, func.min(recommendations.c.rank).label("rank"))
            .where(recommendations.c.digest == last, recommendations.c.kind == "waiting")
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
        many = self._many_upvotes(sources)
        if not many:
            return ()
        is_recent = papers.c.first_seen >= records.seconds(first_seen)
        # For the least id itself, SQLite would go through all papers from the first one on.
        oldest = select(func.min(papers.c.id + 0)).where(is_recent).scalar_subquery()
        rose = (
            select(listings.c.paper)
            .where(listings.c.source == source, listings.c.upvotes.is_not(None), listings.c.paper >= oldest)
            .group_by(listings.c.paper)
            # A paper may be listed again, with the votes that it has by then.
            .having(
                func.max(listings.c.upvotes) >= least,
                func.min(func.coalesce(listings.c.first_upvotes, -1)) < least,
            )
            for source, least in many.items()
        )
        query = (
            select(papers)
            .where(
                papers.c.revision <= before, is_recent, papers.c.id.in_(union(*rose)), _not_shown_to(profile)
            )
            .order_by(papers.c.revision)
        )
        return self._papers(query)

    def _many_upvotes(self, sources: Sequence[str]) -> dict[str, float]:
        """The 0.9 quantile of the upvotes at each source, over its newest papers with known ones."""
        is_voted = listings.c.upvotes.is_not(None)
        many: dict[str, float] = {}
        with self._reading() as connection:
            voted = select(listings.c.source).where(is_voted).distinct()
            for source in sources or connection.execute(voted).scalars().all():
                query = (
                    select(func.max(listings.c.upvotes))
                    .where(listings.c.source == source, is_voted)
                    .group_by(listings.c.paper)
                    .order_by(listings.c.paper.desc())
                    .limit(_VOTED)
                )
                votes = connection.execute(query).scalars().all()
                if len(votes) >= _VOTED_AT_LEAST:
                    many[source] = max(1, quantiles(votes, n=10, method="inclusive")[-1])
        return many

    def paper_count(self) -> int:
        """How many papers are stored."""
        with self._reading() as connection:
            return connection.execute(select(func.count()).select_from(papers)).scalar_one()

    def newest_papers(self, limit: int) -> tuple[StoredPaper, ...]:
        """The papers that came last, newest first."""
        return self._papers(select(papers).order_by(papers.c.revision.desc()).limit(limit))

    def each_paper(self) -> Iterator[StoredPaper]:
        """All papers, newest first; some at a time are in memory."""
        before = self.revision() + 1
        while before:
            newest = (
                select(papers.c.revision)
                .where(papers.c.revision < before)
                .order_by(papers.c.revision.desc())
                .limit(CHUNK)
                .subquery()
            )
            with self._reading() as connection:
                last: int = connection.execute(
                    select(func.coalesce(func.min(newest.c.revision), 0))
                ).scalar_one()
            some = papers.c.revision.between(last, before - 1)
            yield from self._papers(select(papers).where(some).order_by(papers.c.revision.desc()))
            before = last

    def find_papers(self, wanted: str, limit: int = 20) -> tuple[StoredPaper, ...]:
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
            # As they are stored: in the order of an index, it takes three times as long to find a rare one.
            .order_by((papers.c.revision + 0).desc())
            .limit(limit)
        )

    def known(self, met: Paper) -> Paper | None:
        """What is stored of a paper."""
        with self._reading() as connection:
            stored = self._stored(connection, _names(met))
        return next(iter(self._known(met, stored).values()), None)

    def _papers(self, query: Any) -> tuple[StoredPaper, ...]:  # noqa: ANN401 - a select of papers
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
            found: dict[int, list[Any]] = defaultdict(list)
            keys = [row["id"] for row in rows]
            for at in range(0, len(keys), CHUNK):
                part = (
                    select(listings)
                    .where(listings.c.paper.in_(keys[at : at + CHUNK]))
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


def _names(paper: Paper) -> tuple[PaperId, ...]:
    """Every identifier under which a paper may be stored."""
    return (*identity.aliases(paper), identity.byline_id(paper))


def _not_shown_to(profile: str) -> ColumnElement[bool]:
    return ~select(shown.c.paper).where(shown.c.profile == profile, shown.c.paper == papers.c.id).exists()


def _of_sources(query: Any, sources: Sequence[str]) -> Any:  # noqa: ANN401 - a select of papers
    """The papers of a query that any of these sources listed; all of them when none is named."""
    if not sources:
        return query
    listed = select(listings.c.paper).where(listings.c.paper == papers.c.id, listings.c.source.in_(sources))
    return query.where(listed.exists())
