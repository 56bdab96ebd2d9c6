"""Whether somebody should look: how sources, deliveries and profiles stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from digest.config import Config, EmailTable
from digest.core import slots
from digest.core.model import DeliveryState, Profile, SourceReport
from digest.errors import AGAIN
from digest.sending import MOST_COPIES, OPEN

if TYPE_CHECKING:
    from digest.store.outbox import Pile
    from digest.store.store import Store

_OVERDUE = timedelta(hours=1)
"""How late a slot may be composed before somebody should look."""

PATIENCE = timedelta(days=2)
"""How long a source or a server may fail before somebody should look."""


def summary(config: Config, store: Store, *, at: datetime, since: datetime) -> dict[str, object]:
    """How everything stands, and whether somebody should look (`ok`). Raises StoreError.

    `since` is as of `overdue`.
    """
    last = reports(config, store)
    stuck = [pile for pile in store.piles(*OPEN) if needs_somebody(pile, config.email, at)]
    late = overdue(config.profiles, store, at=at, since=since).values()
    return {
        "ok": not stuck and not late and all(report.complete for report in last),
        "last_run": max((report.period.until.isoformat() for report in last), default=None),
        "sources": {
            report.source: report.error or ("read" if report.complete else "read in part") for report in last
        },
        "last_read": {report.source: report.period.until.isoformat() for report in last},
        "deliveries_that_need_you": sum(pile.count for pile in stuck),
        "overdue_profiles": len(late),
        "oldest_due_slot": min(late).isoformat() if late else None,
    }


def reports(config: Config, store: Store) -> list[SourceReport]:
    """How the last reading of each source went, without those that are no longer configured."""
    names = {source.name for source in config.sources}
    return [report for report in store.latest_reports() if report.source in names]


def is_broken(report: SourceReport) -> bool:
    """Whether a source failed for a reason that does not pass by itself, as an address that is gone."""
    return report.error is not None and AGAIN not in report.error


def needs_somebody(pile: Pile, email: EmailTable | None, at: datetime) -> bool:
    """Whether deliveries wait for what somebody does, and not for a time that comes."""
    if pile.state == DeliveryState.UNCERTAIN:
        holds = email is not None and email.when_uncertain == "hold" and pile.channel == "email"
        return holds or pile.lost >= MOST_COPIES
    if pile.state == DeliveryState.FAILED or (pile.channel == "email" and email is None):
        return True
    # What is put off without a time waits for a setting, a secret or a template to be mended.
    return pile.state == DeliveryState.DEFERRED and (
        pile.not_before is None or at - pile.planned_at > PATIENCE
    )


def overdue(
    profiles: Sequence[Profile], store: Store, *, at: datetime, since: datetime
) -> dict[str, datetime]:
    """The profiles of which a slot came more than an hour ago and is not composed, with that slot.

    One that never had a slot is waited for from `since` on: nobody can say how long it has been there.
    """
    made = store.all_progress()
    after = cache(slots.after)  # many profiles are at the same slot
    due = {
        profile.name: after(profile.schedule, made[profile.name])
        if profile.name in made
        else slots.following(profile.schedule, since)
        for profile in profiles
        if profile.schedule is not None
    }
    return {name: slot for name, slot in due.items() if at - slot > _OVERDUE}
