"""What profiles were shown, and how far they have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, func, select, update

from digest.core.model import (
    Appearance,
    DeliveryState,
    Digest,
    Judgement,
    Listing,
    Made,
    Paper,
    PaperId,
    Past,
    PlannedDelivery,
    Progress,
    Recommendation,
    Summary,
)
from digest.store import records
from digest.store.database import CHUNK, Database
from digest.store.schema import (
    aliases,
    deliveries,
    digests,
    judgements,
    papers,
    progress,
    recommendations,
    shown,
    snapshots,
    stopped,
)


class Digests(Database):
    """Digests as they were made."""

    def progress(self, profile: str) -> Progress | None:
        """How far a profile has come; None before its first digest."""
        with self._reading() as connection:
            row = connection.execute(select(progress).where(progress.c.profile == profile)).first()
        return None if row is None else records.progress(row)

    def all_progress(self) -> dict[str, Progress]:
        """How far every profile has come that ever had a slot."""
        # Most of a heartbeat with many profiles; by name, and with an instant for each, it took twice that.
        query = select(*progress.c["profile", "slot", "revision", "local_time"])
        instant = cache(records.instant)
        with self._reading() as connection:
            return {
                profile: Progress(instant(slot), revision, local_time)
                for profile, slot, revision, local_time in connection.execute(query)
            }

    def save(
        self, profile: str, made: Progress, digest: Digest | None, planned: Sequence[PlannedDelivery]
    ) -> bool:
        """What `save_all` does, for one profile."""
        return self.save_all([Made(profile, made, digest, planned)])[0]

    def save_all(self, made: Sequence[Made]) -> list[bool]:
        """Write digests, their deliveries and what they showed in one transaction.

        Gives False, and writes nothing, for a profile whose slot another process has composed meanwhile.
        """
        done = []
        with self._writing() as connection:
            ids = [one.digest.id for one in made if one.digest is not None]
            there: set[str] = set()
            for start in range(0, len(ids), CHUNK):
                found = select(digests.c.id).where(digests.c.id.in_(ids[start : start + CHUNK]))
                there.update(connection.execute(found).scalars())
            for one in made:
                row = records.progress_row(one.profile, one.progress)
                if one.digest is not None:
                    row["digest"] = one.digest.id
                    if (
                        one.digest.id in there
                    ):  # by a clock that was ahead; what came since is for the next slot
                        del row["revision"], row["digest"]
                        connection.execute(
                            update(progress)
                            .where(progress.c.profile == one.profile, progress.c.slot < row["slot"])
                            .values(row)
                        )
                        done.append(False)
                        continue
                statement = self._insert(progress).values(row)
                moved = connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["profile"],
                        set_=row,
                        where=progress.c.slot < statement.excluded.slot,
                    ).returning(progress.c.profile)
                )
                done.append(moved.first() is not None)
            self._save_digests(
                connection, [one for one, is_new in zip(made, done, strict=True) if is_new and one.digest]
            )
        return done

    def rewind(self, profile: str, made: Progress) -> None:
        """Put a profile back to a slot, after a clock that was far ahead."""
        with self._writing() as connection:
            connection.execute(
                update(progress)
                .where(progress.c.profile == profile)
                .values(records.progress_row(profile, made))
            )

    def _save_digests(self, connection: Connection, made: Sequence[Made]) -> None:
        items = [
            (one.digest, rank, kind, section, item)
            for one in made
            if one.digest is not None
            for rank, (kind, section, item) in enumerate(_items(one.digest))
        ]
        keys = self._keys(connection, {item.paper.id for *_, item in items})
        # Many profiles are shown the same papers.
        kept: dict[tuple[Paper, tuple[Listing, ...]], tuple[str, dict[str, Any]]] = {}
        for *_, item in items:
            if (item.paper, item.listings) not in kept:
                kept[item.paper, item.listings] = records.snapshot(item)
        rows: dict[Any, list[dict[str, Any]]] = {
            digests: [records.digest_row(one.digest) for one in made if one.digest is not None],
            snapshots: [{"hash": name, "content": content} for name, content in kept.values()],
            recommendations: [
                {
                    "digest": digest.id,
                    "rank": rank,
                    "paper": keys[item.paper.id],
                    "snapshot": kept[item.paper, item.listings][0],
                    "section": section,
                    "kind": kind,
                    **records.recommendation_row(item),
                }
                for digest, rank, kind, section, item in items
            ],
            shown: [
                {"profile": digest.profile, "paper": keys[item.paper.id], "digest": digest.id}
                for digest, _, kind, _, item in items
                if kind not in {"waiting", "near_miss"}
            ],
            deliveries: [
                {
                    "digest": one.digest.id,
                    "profile": one.profile,
                    "channel": plan.channel,
                    "recipient": plan.recipient,
                    "state": DeliveryState.PLANNED,
                    "attempts": 0,
                    "message": plan.message,
                }
                for one in made
                if one.digest is not None
                for plan in one.planned
            ],
        }
        for table, values in rows.items():
            if values:
                statement = self._insert(table)
                if table in (snapshots, shown):
                    statement = statement.on_conflict_do_nothing()
                connection.execute(statement, values)

    def _keys(self, connection: Connection, papers: Iterable[PaperId]) -> dict[str, int]:
        """The keys of papers by their identifiers."""
        wanted = sorted(papers)
        found: dict[str, int] = {}
        for start in range(0, len(wanted), CHUNK):
            query = select(aliases).where(aliases.c.alias.in_(wanted[start : start + CHUNK]))
            found |= {row.alias: row.paper for row in connection.execute(query)}
        for paper in wanted:
            if paper not in found:
                raise LookupError(f"No row of a paper has the alias {paper}")
        return found

    def pasts(self, profiles: Sequence[str]) -> dict[str, Past]:
        """What is remembered of each of some profiles."""
        found: dict[str, Past] = {}
        with self._reading() as connection:
            for start in range(0, len(profiles), CHUNK):
                part = profiles[start : start + CHUNK]
                rows = connection.execute(
                    select(progress, digests.c.reports)
                    .join(digests, digests.c.id == progress.c.digest, isouter=True)
                    .where(progress.c.profile.in_(part))
                )
                made = {row.profile: row for row in rows}
                last = [row.digest for row in made.values() if row.digest is not None]
                kept = select(recommendations.c.digest).where(
                    recommendations.c.digest.in_(last), recommendations.c.kind == "waiting"
                )
                waiting = set(connection.execute(kept).scalars())
                said: dict[str, list[Judgement]] = defaultdict(list)
                opinions = (
                    select(judgements)
                    .where(judgements.c.profile.in_(part))
                    .order_by(judgements.c.at, judgements.c.paper_id)
                )
                for opinion in connection.execute(opinions).mappings():
                    said[opinion["profile"]].append(records.judgement(opinion))
                gone: dict[str, set[str]] = defaultdict(set)
                stops = select(stopped.c.profile, stopped.c.address).where(stopped.c.profile.in_(part))
                for name, address in connection.execute(stops):
                    gone[name].add(address)
                for name in part:
                    row = made.get(name)
                    found[name] = Past(
                        None if row is None else records.progress(row),
                        tuple(said.get(name, ())),
                        () if row is None else tuple(map(records.report, row.reports or ())),
                        frozenset(gone.get(name, ())),
                        row is not None and row.digest in waiting,
                    )
        return found

    def shown(self, profiles: Sequence[str], *, revision: int) -> dict[str, set[PaperId]]:
        """The papers whose words are newer than a revision and that each profile was shown already."""
        found: dict[str, set[PaperId]] = defaultdict(set)
        with self._reading() as connection:
            newer = select(papers.c.id, papers.c.paper_id).where(papers.c.revision > revision)
            names = {row.id: PaperId(row.paper_id) for row in connection.execute(newer)}
            for start in range(0, len(profiles) if names else 0, CHUNK):
                marks = select(shown.c.profile, shown.c.paper)
                marks = marks.where(shown.c.profile.in_(profiles[start : start + CHUNK]))
                if len(names) <= CHUNK:  # else a profile has fewer marks than there are papers
                    marks = marks.where(shown.c.paper.in_(names))
                for profile, key in connection.execute(marks):
                    if key in names:
                        found[profile].add(names[key])
        return found

    def digests(self, ids: Sequence[str]) -> dict[str, Digest]:
        """The digests of these ids."""
        found: dict[str, Digest] = {}
        with self._reading() as connection:
            for start in range(0, len(ids), CHUNK):
                part = ids[start : start + CHUNK]
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

    def newest_issues(self, limit: int) -> list[tuple[str, datetime]]:
        """The ids of the digests that were made last, whosever they are, and when they were."""
        query = select(digests.c.id, digests.c.issued_at).order_by(digests.c.issued_at.desc()).limit(limit)
        with self._reading() as connection:
            return [(name, records.instant(issued_at)) for name, issued_at in connection.execute(query)]

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
            for start in range(0, len(wanted), CHUNK):
                query = (
                    select(aliases.c.alias, digests.c.id, digests.c.profile)
                    .join(recommendations, recommendations.c.paper == aliases.c.paper)
                    .join(digests)
                    .where(
                        aliases.c.alias.in_(wanted[start : start + CHUNK]),
                        recommendations.c.kind.not_in(("overflow", "waiting", "near_miss")),
                    )
                    .order_by(digests.c.issued_at, digests.c.profile)
                )
                for alias, digest, profile in connection.execute(query):
                    if profile in profiles:
                        found.setdefault(PaperId(alias), digest)
        return found

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


def _items(digest: Digest) -> Iterator[tuple[str, str, Recommendation]]:
    """The papers of a digest in order: kind, section and recommendation."""
    for section in digest.sections:
        for item in section.recommendations:
            yield section.kind, section.interest, item
    others = ("overflow", digest.overflow), ("waiting", digest.waiting), ("near_miss", digest.near_misses)
    for kind, items in others:
        for item in items:
            yield kind, "", item
