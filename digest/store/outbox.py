"""The outbox: what is to be handed over, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from digest.core.model import Channel, Delivery, DeliveryState
from digest.store import records
from digest.store.database import Database
from digest.store.schema import deliveries

_OPEN = (DeliveryState.PLANNED, DeliveryState.DEFERRED)


class Outbox(Database):
    """Deliveries from planned to sent."""

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
