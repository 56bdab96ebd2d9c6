"""What `/healthz` tells, and when somebody should look."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from served import answering
from world import DAY, HOUR, NOON, configure, report

from digest import app
from digest.core.model import Progress, SourceReport

AT_SEVEN = '[schedule]\nat = ["07:00"]\ndays = ["mon", "tue", "wed", "thu", "fri"]'
SEVEN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # a Friday's, in Berlin


def made(folder: Path, *, schedule: str = AT_SEVEN, composed: dict[str, datetime] | None = None) -> app.App:
    """Three profiles, and the last slots that were composed for them."""
    loaded = app.load(str(configure(folder, extra=schedule, profiles=("me", "you", "us"))), {})
    with loaded.store() as store:
        for name, slot in (composed or {}).items():
            store.save(name, Progress(slot, 0), None, [])
    return loaded


@pytest.mark.parametrize(
    ("composed", "at", "overdue", "oldest"),
    [
        ([SEVEN, SEVEN, SEVEN], NOON, 0, None),
        ([SEVEN, SEVEN, SEVEN], SEVEN + 3 * DAY + HOUR, 0, None),  # Monday, within the hour
        ([SEVEN, SEVEN, SEVEN], SEVEN + 3 * DAY + 1.01 * HOUR, 3, SEVEN + 3 * DAY),
        ([SEVEN, SEVEN - DAY, SEVEN], SEVEN + HOUR, 0, None),
        ([SEVEN, SEVEN - DAY, SEVEN], NOON, 1, SEVEN),
        ([SEVEN - 3 * DAY, SEVEN - DAY, SEVEN], NOON, 2, SEVEN - 2 * DAY),
    ],
)
def test_a_run_is_overdue_an_hour_after_its_slot(
    tmp_path: Path, composed: list[datetime], at: datetime, overdue: int, oldest: datetime | None
) -> None:
    health = made(tmp_path, composed=dict(zip(("me", "you", "us"), composed, strict=True))).health(
        at=at, since=at
    )
    assert health["ok"] == (overdue == 0)
    assert health["overdue_profiles"] == overdue
    assert health["oldest_due_slot"] == (None if oldest is None else oldest.isoformat())


def test_a_profile_without_a_digest_is_waited_for_from_its_first_slot_on(tmp_path: Path) -> None:
    new = made(tmp_path)
    assert new.health(at=NOON, since=SEVEN + 1.5 * HOUR)["ok"]  # today's was over when the server began
    late = new.health(at=NOON, since=SEVEN - HOUR)
    assert (late["ok"], late["overdue_profiles"], late["oldest_due_slot"]) == (False, 3, SEVEN.isoformat())


def test_without_a_schedule_nothing_is_ever_overdue(tmp_path: Path) -> None:
    assert made(tmp_path, schedule="", composed={"me": SEVEN}).health(at=NOON + 99 * DAY, since=SEVEN)["ok"]


@pytest.mark.parametrize(
    ("last", "said", "ok"),
    [
        (report("file"), "read", True),
        (report("file", complete=False), "read in part", False),
        (SourceReport("file", report().period, complete=False, error="it is gone"), "it is gone", False),
    ],
)
def test_each_source_says_when_it_was_read_and_how(
    tmp_path: Path, last: SourceReport, said: str, *, ok: bool
) -> None:
    loaded = made(tmp_path, schedule="")
    with loaded.store() as store:
        store.add([], [], report("file", at=NOON - DAY))
        store.add([], [], last)
        store.add([], [], report("of an older configuration"))
    health = loaded.health(at=NOON, since=NOON)
    assert health == {
        "ok": ok,
        "last_run": "2026-11-20T12:00:00+00:00",
        "sources": {"file": said},
        "last_read": {"file": "2026-11-20T12:00:00+00:00"},
        "deliveries_that_need_you": 0,
        "overdue_profiles": 0,
        "oldest_due_slot": None,
    }


def test_an_overdue_run_is_a_503_that_names_it(tmp_path: Path) -> None:
    long_ago = datetime(2020, 1, 6, 6, 0, tzinfo=UTC)
    loaded = made(tmp_path, composed=dict.fromkeys(("me", "you", "us"), long_ago))
    with answering(loaded.config.path) as client:
        health = client.get("/healthz")
        assert health.status_code == 503
        assert health.headers["cache-control"] == "no-store"
        assert health.json()["oldest_due_slot"] == (long_ago + DAY).isoformat()
        head = client.head("/healthz")
        assert (head.status_code, head.content) == (503, b"")


def test_a_damaged_table_is_a_503_that_says_what_is_wrong(tmp_path: Path) -> None:
    loaded = made(tmp_path)
    with answering(loaded.config.path) as client:
        assert client.get("/healthz").json()["ok"] is True
        with loaded.store() as store, store._writing() as connection:  # noqa: SLF001 - as a damage would
            connection.exec_driver_sql("DROP TABLE progress")
        health = client.get("/healthz")
        assert (health.status_code, health.json()["ok"]) == (503, False)
        assert "no such table: progress" in health.json()["error"]
