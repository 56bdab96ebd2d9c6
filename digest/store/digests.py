"""What profiles were shown, and how far they have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from digest.core.model import (
    Appearance,
    DeliveryState,
    Digest,
    PaperId,
    PlannedDelivery,
    Progress,
    Recommendation,
    SourceReport,
    Summary,
)
from digest.store import records
from digest.store.database import CHUNK, Database
from digest.store.schema import aliases, deliveries, digests, progress, recommendations, shown, snapshots


class Digests(Database):
    """Digests as they were made."""

    def progress(self, profile: str) -> Progress | None:
        """How far a profile has come; None before its first digest."""
        with self._reading() as connection:
            row = connection.execute(select(progress).where(progress.c.profile == profile)).first()
        return None if row is None else records.progress(row)

    def all_progress(self) -> dict[str, Progress]:
        """How far every profile has come that ever had a slot."""
        with self._reading() as connection:
            rows = connection.execute(select(progress))
            return {row.profile: records.progress(row) for row in rows}

    def save(
        self, profile: str, made: Progress, digest: Digest | None, planned: Sequence[PlannedDelivery]
    ) -> bool:
        """Write a digest, its deliveries and what it showed in one transaction.

        `digest` is None for a slot in which there was nothing to say. Gives False, and writes
        nothing, when another process has composed the slot meanwhile.
        """
        with self._writing() as connection:
            row = records.progress_row(profile, made)
            if digest is not None:
                row["digest"] = digest.id
            is_there = digest is not None and (
                connection.execute(select(digests.c.id).where(digests.c.id == digest.id)).first() is not None
            )
            if is_there:  # by a clock that was ahead; what came since is for the next slot
                del row["revision"], row["digest"]
                connection.execute(
                    update(progress)
                    .where(progress.c.profile == profile, progress.c.slot < row["slot"])
                    .values(row)
                )
                return False
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

    def rewind(self, profile: str, made: Progress) -> None:
        """Put a profile back to a slot, after a clock that was far ahead."""
        with self._writing() as connection:
            connection.execute(
                update(progress)
                .where(progress.c.profile == profile)
                .values(records.progress_row(profile, made))
            )

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

    def last_told(self, profile: str) -> tuple[SourceReport, ...]:
        """The reports that the last digest of a profile showed."""
        query = select(digests.c.reports).join(progress, progress.c.digest == digests.c.id)
        query = query.where(progress.c.profile == profile)
        with self._reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return tuple(records.report(row) for row in found or ())
