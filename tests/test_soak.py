"""Days with everything that can go wrong, and stores that are large: what `tests/bench` does for longer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from sqlalchemy import Connection, Engine, event
from tools import UNMEASURED
from world import PROFILE, SWIN_PAGE, configure

SOAK = Path(__file__).parent / "bench" / "soak.py"


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_goes_wrong_for_weeks_each_paper_comes_once_to_everybody(seed: int) -> None:
    command = [sys.executable, str(SOAK), "--days", "40", "--seed", str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=UNMEASURED)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    what = r"(\d+) kills, (\d+) sources failed, (\d+) mails refused or unanswered, \d+ retried by somebody"
    happened = re.search(what, ended.stdout)
    assert happened, ended.stdout
    assert min(map(int, happened.groups())) > 0


# --- statements --------------------------------------------------------------------------------

GROWING = ("aliases", "deliveries", "listings", "papers", "recommendations", "shown", "snapshots")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def plans() -> Iterator[dict[str, list[str]]]:
    """How SQLite goes about each statement that is executed meanwhile."""
    found: dict[str, list[str]] = {}

    def explain(
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,  # noqa: ANN401 - a tuple, or a list of them
        _context: object,
        many: bool,  # noqa: FBT001 - as SQLAlchemy gives it
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and statement not in found:
            driver: Any = connection.connection.driver_connection
            values = parameters[0] if many else parameters
            plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            found[statement] = [row[3] for row in plan]

    event.listen(Engine, "before_cursor_execute", explain)
    yield found
    event.remove(Engine, "before_cursor_execute", explain)


def whole(plans: dict[str, list[str]]) -> dict[str, list[str]]:
    """The statements that look through all of what grows: those that break off early, and counts, do not."""
    tables = "|".join(GROWING)
    looks = re.compile(rf"SCAN ({tables})\b|SEARCH ({tables})$")  # the latter for a least or greatest one
    return {
        statement: plan
        for statement, plan in plans.items()
        if any(map(looks.match, plan)) and "LIMIT" not in statement and statement != COUNT
    }


COUNT = "SELECT count(*) AS count_1 \nFROM papers"


LAB = """
from digest.core.identity import title_id
from digest.core.model import Listing, Paper, Reading

class Lab:
    def __init__(self, name):
        self.name = name

    def collect(self, period):
        yield from ()
        day = period.until.day
        titles = [f"Leaf {number} of a Swin" for number in range(day * 3)]
        papers = [Paper(title_id(title), title, "All that is known of leaves.") for title in titles]
        found = [Listing(one, self.name, None, at, at * day % 50) for at, one in enumerate(papers)]
        return Reading("lab", tuple(found))
"""

CONFIGURED = """
[[sources]]
kind = "lab:Lab"
name = "lab"
[email]
from = "Digest <digest@example.org>"
transport = "eml"
folder = "mail"
"""


def test_a_run_looks_through_nothing_that_grows(
    run: Run, tmp_path: Path, plans: dict[str, list[str]]
) -> None:
    config = configure(tmp_path, extra=CONFIGURED)
    more = 'recipients = ["me@example.org"]\noverflow = "carry"'
    profile = tmp_path / "profiles" / "me.toml"
    profile.write_text(PROFILE.format(name="me", recipients=more), encoding="utf-8")
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    (tmp_path / "lab.py").write_text(LAB, encoding="utf-8")
    for day in (20, 21, 22):
        assert run("run", "--config", config, "--at", f"2026-11-{day}T10:00:00Z") == 0, run.err
    assert run("status", "--config", config) == 0
    assert run("try", "Swin", "--config", config, "--at", "2026-11-22T11:00:00Z") == 0
    for table in (*GROWING, "lessons"):
        assert any(f" {table}" in statement for statement in plans)
    assert any("HAVING" in statement for statement in plans)  # papers that drew attention
    assert whole(plans) == {}
    (due,) = {plan[0] for statement, plan in plans.items() if "deliveries.id > ?" in statement}
    assert "state=? AND channel=?" in due  # not through all that a channel ever sent
