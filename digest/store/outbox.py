"""The outbox: what is to be handed over, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, func, literal, or_, select, true, update

from digest.core.model import Channel, Delivery, DeliveryState
from digest.store import records
from digest.store.database import Database
from digest.store.schema import deliveries, digests

_OPEN = (DeliveryState.PLANNED, DeliveryState.DEFERRED)

_ANEW = {"state": DeliveryState.PLANNED, "attempts": 0, "lost": 0, "error": None, "not_before": None}

_COUNTS = (
    select(deliveries.c.state, func.count())
    .where(deliveries.c.state.in_(bindparam("states", expanding=True)))
    .group_by(deliveries.c.state)
)
_LEASE = 3600  # seconds; SMTP's steps and its final answer take 20 minutes at most
_UNTIL_IT_IS_THERE = 300  # seconds that a message may take to the mailbox in which it is looked for
_LONGEST_WAIT = 86_400  # seconds; what waits for longer was put off by a clock that was wrong


@dataclass(frozen=True, slots=True)
class Pile:
    """Deliveries of one profile that share a channel, a state and an error."""

    profile: str
    channel: Channel
    state: DeliveryState
    error: str | None
    count: int
    first: int  # the number of the oldest
    planned_at: datetime  # likewise
    not_before: datetime | None  # of the one whose turn comes first
    lost: int  # answers, of the one that lost most


class Outbox(Database):
    """Deliveries from planned to sent."""

    def recover(self, now: datetime) -> int:
        """Put right what a killed run left behind; with SQLite, call it while no other run is active.

        A delivery that was being sent had not been handed over, so it is planned again; one that was
        being handed over may have arrived. Gives how many are uncertain now.
        """
        # SQLite's runs lock the data directory, so nobody else is sending; those of a server may be
        # anywhere, and a killed one is known by its lease alone.
        at, lease = records.seconds(now), deliveries.c.leased_until
        is_left = (
            true()
            if self._engine.dialect.name == "sqlite"
            # What is leased for longer was leased by a clock that was ahead.
            else or_(lease.is_(None), lease <= at, lease > at + _LEASE)
        )
        with self._writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.SENDING, is_left)
                .values(state=DeliveryState.PLANNED)
            )
            return connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.HANDING_OVER, is_left)
                .values(
                    state=DeliveryState.UNCERTAIN,
                    error="the program was stopped while the message was handed over",
                    not_before=at + _UNTIL_IT_IS_THERE,
                    lost=deliveries.c.lost + 1,
                )
            ).rowcount

    def claim(self, channels: Sequence[Channel], now: datetime, *, after: int = 0) -> Delivery | None:
        """Take the next delivery that is due, marking it as being sent; None when there is none.

        `after` passes over those up to a number, which have had their turn.
        """
        at = records.seconds(now)
        due = (
            select(deliveries)
            .where(
                deliveries.c.state.in_(_OPEN),
                deliveries.c.channel.in_(channels),
                deliveries.c.id > after,
                or_(
                    deliveries.c.not_before.is_(None),
                    deliveries.c.not_before <= at,
                    deliveries.c.not_before > at + _LONGEST_WAIT,
                ),
            )
            .order_by(deliveries.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._writing() as connection:
            row = connection.execute(due).mappings().first()
            if row is None:
                return None
            values = {
                "state": DeliveryState.SENDING,
                "attempts": row["attempts"] + 1,
                "leased_until": at + _LEASE,
            }
            connection.execute(update(deliveries).where(deliveries.c.id == row["id"]).values(values))
            return records.delivery(dict(row) | values)

    def hand_over(self, delivery: Delivery) -> bool:
        """Mark a claimed delivery as being handed over; False if another run has taken it meanwhile."""
        statement = update(deliveries).where(
            deliveries.c.id == delivery.id,
            deliveries.c.state == DeliveryState.SENDING,
            deliveries.c.attempts == delivery.attempts,
        )
        with self._writing() as connection:
            return connection.execute(statement.values(state=DeliveryState.HANDING_OVER)).rowcount == 1

    def mark(
        self,
        delivery: int,
        state: DeliveryState,
        *,
        error: str | None = None,
        not_before: datetime | None = None,
        sent_at: datetime | None = None,
        counts: bool = True,
        attempt: int | None = None,
    ) -> None:
        """Write down where a delivery stands now; without `counts`, the last attempt was none.

        With `attempt`, nothing is written if another attempt has begun meanwhile.
        """
        values: dict[str, Any] = {
            "state": state,
            "error": error,
            "not_before": None if not_before is None else records.seconds(not_before),
        }
        if sent_at is not None:
            values["sent_at"] = records.seconds(sent_at)
        if not counts:
            values["attempts"] = deliveries.c.attempts - 1
        if state == DeliveryState.UNCERTAIN:
            is_new = deliveries.c.state == DeliveryState.HANDING_OVER
            values["lost"] = deliveries.c.lost + case((is_new, 1), else_=0)
        statement = update(deliveries).where(deliveries.c.id == delivery)
        if attempt is not None:
            statement = statement.where(deliveries.c.attempts == attempt)
        with self._writing() as connection:
            connection.execute(statement.values(values))

    def sent_between(self, channel: Channel, since: datetime, until: datetime) -> int:
        """How many deliveries were sent by a channel after `since`, up to `until`."""
        query = select(func.count()).where(
            deliveries.c.channel == channel,
            deliveries.c.sent_at > records.seconds(since),
            deliveries.c.sent_at <= records.seconds(until),
        )
        with self._reading() as connection:
            count: int = connection.execute(query).scalar_one()
        return count

    def deliveries(self, *states: DeliveryState) -> tuple[Delivery, ...]:
        """The deliveries in any of these states, oldest first; all of them when none is named."""
        query = select(deliveries).order_by(deliveries.c.id)
        if states:
            query = query.where(deliveries.c.state.in_(states))
        with self._reading() as connection:
            return tuple(records.delivery(row) for row in connection.execute(query).mappings())

    def counts(self, *states: DeliveryState) -> Counter[DeliveryState]:
        """How many deliveries are in each of these states; empty where there is none."""
        with self._reading() as connection:
            rows = connection.execute(_COUNTS, {"states": states})
            return Counter({DeliveryState(state): number for state, number in rows})

    def piles(self, *states: DeliveryState) -> tuple[Pile, ...]:
        """The deliveries in these states, counted; the oldest first."""
        columns = (deliveries.c.profile, deliveries.c.channel, deliveries.c.state, deliveries.c.error)
        first = func.min(deliveries.c.id).label("first")
        query = (
            select(
                *columns,
                func.count().label("count"),
                first,
                func.min(digests.c.issued_at).label("planned_at"),
                func.min(deliveries.c.not_before).label("not_before"),
                func.max(deliveries.c.lost).label("lost"),
            )
            .join(digests, digests.c.id == deliveries.c.digest)
            .where(deliveries.c.state.in_(states))
            .group_by(*columns)
            .order_by(first)
        )
        with self._reading() as connection:
            return tuple(
                Pile(
                    **row
                    | {
                        "state": DeliveryState(row["state"]),
                        "planned_at": records.instant(row["planned_at"]),
                        "not_before": records.optional_instant(row["not_before"]),
                    }
                )
                for row in map(dict, connection.execute(query).mappings())
            )

    def listed(self, *states: DeliveryState) -> tuple[Delivery, ...]:
        """What `deliveries` gives, without the messages: they may not fit into memory together."""
        without = [column for column in deliveries.c if column.name != "message"]
        query = select(*without, literal(None).label("message")).order_by(deliveries.c.id)
        if states:
            query = query.where(deliveries.c.state.in_(states))
        with self._reading() as connection:
            return tuple(records.delivery(row) for row in connection.execute(query).mappings())

    def delivery(self, number: int) -> Delivery | None:
        """The delivery of that number, with its message."""
        query = select(deliveries).where(deliveries.c.id == number)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else records.delivery(row)

    def retry_failed(self) -> int:
        """Plan every failed delivery again; gives how many there were."""
        with self._writing() as connection:
            return connection.execute(
                update(deliveries).where(deliveries.c.state == DeliveryState.FAILED).values(_ANEW)
            ).rowcount

    def plan_again(self, number: int) -> None:
        """Plan a delivery again, as if it had never been tried."""
        with self._writing() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == number).values(_ANEW))
