"""What sources showed: papers, under every name that they have, and how the reading went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import quantiles
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, false, func, insert, or_, select, true, update

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
        complete = (
            select(reports.c.source, func.max(reports.c.id).label("id"))
            .where(reports.c.complete)
            .group_by(reports.c.source)
            .subquery()
        )
        query = (
            select(reports.c.source, func.min(reports.c.until))
            .join(complete, complete.c.source == reports.c.source, isouter=True)
            .where(reports.c.id > func.coalesce(complete.c.id, 0))
            .group_by(reports.c.source)
        )
        with self._reading() as connection:
            return {source: records.instant(until) for source, until in connection.execute(query)}

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
        query = select(papers).where(papers.c.revision > revision).order_by(papers.c.revision)
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


def _not_shown_to(profile: str) -> ColumnElement[bool]:
    return papers.c.id.not_in(select(shown.c.paper).where(shown.c.profile == profile))


def _of_sources(query: Any, sources: Sequence[str]) -> Any:  # noqa: ANN401 - a select of papers
    """The papers of a query that any of these sources listed; all of them when none is named."""
    if not sources:
        return query
    return query.where(papers.c.id.in_(select(listings.c.paper).where(listings.c.source.in_(sources))))
