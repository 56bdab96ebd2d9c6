"""Bytes of others are harmless: every entry takes them or refuses them with an error of digest's own.

`fuzz/targets.py` has the entries, and what must hold of what they give.
`python tests/fuzz/run.py` tries them for as long as one likes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzz.mutations import mutated
from fuzz.run import fault, within
from fuzz.targets import DATA, SERVED, TARGETS, attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FOUND = sorted((DATA / "fuzz").glob("*/*"))
GIANTS: list[dict[str, Any]] = json.loads((DATA / "fuzz" / "giants.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Libraries warn of what they read; what a reader warns of is the business of its own tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def written(text: str | list[str | tuple[str, int]]) -> str:
    """A text of a giant, of which a part may be repeated so many times; `%05d` is the number of the time."""
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else repeated(*part) for part in text)


def repeated(text: str, times: int) -> str:
    if "%05d" not in text:
        return text * times
    return "".join(text.replace("%05d", f"{number:05}") for number in range(times))


def samples(target: str) -> list[bytes]:
    """The same whether the documents of sites are there or not."""
    seeds = TARGETS[target].seeds()
    served = {path.read_bytes() for path in SERVED.rglob("*") if path.is_file()} if SERVED.is_dir() else set()
    return [seed for seed in seeds if seed not in served] or [b""]


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_that_was_changed_is_taken_or_refused(target: str) -> None:
    seeds = samples(target)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(seeds), st.sampled_from(seeds), st.integers(0, 2**32))
    def changed(one: bytes, other: bytes, number: int) -> None:
        attempt(target, mutated(one, other, Random(number)))  # noqa: S311

    changed()


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes_are_taken_or_refused(target: str) -> None:
    @settings(max_examples=10, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary() | st.text().map(str.encode))
    def given_bytes(content: bytes) -> None:
        attempt(target, content)

    given_bytes()


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_was_found_once_stays_fixed(file: Path) -> None:
    attempt(file.parent.name, file.read_bytes())


@pytest.mark.parametrize("giant", GIANTS, ids=lambda giant: f"{giant['target']}-{giant['repeat'][:20]!r}")
def test_a_giant_is_read_in_a_time_that_grows_no_faster_than_it_does(giant: dict[str, Any]) -> None:
    """A square of these lengths would take minutes or hours, and all that they may take is half a minute."""
    pieces = (giant["begin"], [[giant["repeat"], giant["times"]]], giant["end"])
    with within(30):
        taken = attempt(giant["target"], "".join(map(written, pieces)).encode())
    assert not (taken and giant.get("refused"))


def test_a_fault_is_told() -> None:
    """A harness that sees nothing would pass for a program without faults."""
    assert fault("query", b"a") is None
    assert fault("query", b"(") is None
    found = fault("no such target", b"")
    assert found
    assert found[0].startswith("KeyError")
