"""Runs of the program that die at a chosen moment, each in a process of its own.

They are forked from a process that has everything imported: a run takes a tenth of a second, not a whole one.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Engine, Pool, event
from tools import UNMEASURED

from digest import cli

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or KILLED, and what it said."""

    code: int
    said: str


class Run:
    """A run that was started."""

    def __init__(self, pid: int, nursery: Nursery, output: Path) -> None:
        self._pid = pid
        self._nursery = nursery
        self._output = output

    def kill(self) -> None:
        """Kill it; when this returns, it is gone."""
        with suppress(ProcessLookupError):
            while True:
                os.kill(self._pid, signal.SIGKILL)
                time.sleep(0.001)

    def wait(self) -> Ended:
        """Wait for its end."""
        code = self._nursery.answer()
        said = self._output.read_text(encoding="utf-8")
        self._output.unlink()
        return Ended(code, said)


AND = "&&"
"""Between commands that one process runs, as long as they go well."""


class Nursery:
    """Where runs come from, one at a time."""

    def __init__(self) -> None:
        """Start the process that runs are forked from."""
        self._process = subprocess.Popen(
            [sys.executable, "-B", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=UNMEASURED,
        )

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def run(self, *arguments: object, **dying: Any) -> Ended:  # noqa: ANN401 - as `_die_at` takes it
        """Run a command, to its end or to the moment that `_die_at` is given."""
        return self.start(*arguments, **dying).wait()

    def start(self, *arguments: object, **dying: Any) -> Run:  # noqa: ANN401
        """Start a command; it has to be waited for before the next one."""
        assert self._process.stdin
        number, output = tempfile.mkstemp()
        os.close(number)
        order = [[*map(str, arguments)], output, dying]
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return Run(self.answer(), self, Path(output))

    def answer(self) -> int:
        """The next number that the process says."""
        assert self._process.stdout
        return int(self._process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery, for as long as the block lasts."""
    with closing(Nursery()) as one:
        yield one


@dataclass(frozen=True)
class Row:
    """A row of the outbox."""

    id: int
    channel: str
    recipient: str
    state: str
    message: bytes | None


def outbox(data: Path) -> list[Row]:
    """The outbox as a killed run left it, read from a copy, so that nothing is mended by looking."""
    with tempfile.TemporaryDirectory() as folder:
        for path in data.glob("digest.db*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "digest.db")) as connection:
            try:
                rows = connection.execute(
                    "SELECT id, channel, recipient, state, message FROM deliveries ORDER BY id"
                ).fetchall()
            except sqlite3.OperationalError:  # there are no tables yet
                rows = []
    return [Row(*row) for row in rows]


# --- in the process that runs are forked from ---------------------------------------------------


def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(None), suppress(SystemExit):
        cli.main(["demo", "--out", folder])  # imports all but the ways out
    from digest.cli import outbox, run  # noqa: F401, PLC0415
    from digest.deliver import eml, imap, maildir, sendmail, smtp, webhook  # noqa: F401, PLC0415

    gc.freeze()  # so that a forked process does not copy what it only looks at
    for line in sys.stdin:
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _run(*order)
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _run(arguments: Sequence[str], output: str, dying: Mapping[str, Any]) -> NoReturn:
    opened = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(opened, stream)
    if dying:
        _die_at(**dying)
    code: Any = 0
    for is_separator, command in groupby(arguments, AND.__eq__):
        if code == 0 and not is_separator:
            code = 70  # EX_SOFTWARE
            try:
                cli.main(list(command))
            except SystemExit as end:
                code = end.code
            except BaseException:  # noqa: BLE001 - this process has nobody else to tell
                traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die_at(moment: int, *, delay: float = 0.0, below: str | None = None) -> None:
    """Die at the n-th moment, or some seconds after it.

    Moments are before and after every commit, and before files come and go `below` a folder.
    SQLAlchemy and Python tell of them, so that no function of ours can be forgotten.
    """
    left = moment
    is_committing = False

    def reached(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.write(1, f"killed {what}\n".encode())
            if delay:
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def before_commit(_connection: object) -> None:
        nonlocal is_committing
        is_committing = True
        reached("before a commit")

    def after_transaction(*_: object) -> None:
        nonlocal is_committing
        if is_committing:
            is_committing = False
            reached("after a commit")

    def audited(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or name in {"os.link", "os.mkdir", "os.remove", "os.rename"}:
            path = str(arguments[0])
            if path.startswith(str(below)):
                reached(f"before {name} {path}")

    event.listen(Engine, "commit", before_commit)
    event.listen(Pool, "reset", after_transaction)
    if below is not None:
        sys.addaudithook(audited)


if __name__ == "__main__":
    _serve()
