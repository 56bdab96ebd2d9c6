"""What people think of papers, what was learned of it, who wants no mail and who may read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from sqlalchemy import delete, select, update

from digest.core import identity
from digest.core.access import Access
from digest.core.model import Judgement, Opinion, Paper, PaperId
from digest.store import records
from digest.store.database import CHUNK, Database
from digest.store.schema import access, judgements, lessons, stopped


class People(Database):
    """What people said."""

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
            for start in range(0, len(gone), CHUNK):
                part = judgements.c.paper_id.in_(gone[start : start + CHUNK])
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

    def keep_lesson(self, key: str, papers: int, content: str, *, outdated: int = 0) -> None:
        """Keep what a ranker learned in the place of what it had learned under that key.

        What was learned when fewer papers than `outdated` were stored is forgotten.
        """
        with self._writing() as connection:
            connection.execute(delete(lessons).where(lessons.c.papers < outdated))
            self._put(connection, lessons, [{"key": key, "papers": papers, "content": content}])

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

    def all_stopped(self) -> dict[str, dict[str, datetime]]:
        """What `stopped` gives, for every profile."""
        query = select(stopped).order_by(stopped.c.at, stopped.c.address)
        found: dict[str, dict[str, datetime]] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.profile, {})[row.address] = records.instant(row.at)
        return found

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
