"""Programs that tests call and a machine may lack: in CI that is a failure, elsewhere a reason to skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

NODE = Path(__file__).resolve().parent / "node"

UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
"""The environment of a program whose coverage is not measured.

What it runs is covered by other tests, and to measure it takes 0.3 s more, or cannot be done where no file
is written.
"""


def absent(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI it must be there")
    pytest.skip(reason)


def needed(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    return found or absent(f"{names[0]} is not installed")


def node_module(name: str) -> Path:
    """The folder of a package of `tests/node/package.json`."""
    folder = NODE / "node_modules" / name
    if not folder.is_dir():
        absent(
            f"{name} is not there: run `npm install --prefix tests/node --no-package-lock --ignore-scripts`"
        )
    return folder


@contextmanager
def postgresql_database() -> Iterator[str]:
    """The address of a database of one's own, for as long as the block lasts."""
    url = os.environ.get("DIGEST_TEST_DSN") or absent(
        "DIGEST_TEST_DSN names no PostgreSQL database beside which tests may create their own"
    )
    name = f"digest_{uuid4().hex}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield make_url(url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()
