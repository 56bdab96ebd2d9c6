"""What runs did."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select, update

from digest.core.model import RunReport
from digest.store import records
from digest.store.database import Database
from digest.store.schema import runs

_KEPT = 1000  # a run each hour for six weeks


class Runs(Database):
    """The last runs."""

    def begin_run(self, report: RunReport) -> int:
        """Write down that a run has begun; gives its number. The oldest ones are forgotten."""
        with self._writing() as connection:
            number: int = connection.execute(
                insert(runs).values(records.run_row(report)).returning(runs.c.id)
            ).scalar_one()
            connection.execute(delete(runs).where(runs.c.id <= number - _KEPT))
        return number

    def end_run(self, number: int, report: RunReport) -> None:
        """Write down what a run did."""
        with self._writing() as connection:
            connection.execute(update(runs).where(runs.c.id == number).values(records.run_row(report)))

    def last_run(self) -> RunReport | None:
        """The run that began last."""
        query = select(runs).where(runs.c.id == select(func.max(runs.c.id)).scalar_subquery())
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else records.run(row)
