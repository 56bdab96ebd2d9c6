"""`digest rank`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from digest.core.model import Need, Paper, PaperId
from digest.errors import ConfigError

_HISTORY = 20_000  # papers to learn from, beside those that are asked for; as a digest does
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--papers", metavar="FILE", type=_FILE, required=True, help="Papers, one JSON object a line.")
@click.option("--requests", metavar="FILE", type=_FILE, required=True, help="What to rank, likewise.")
@click.option(
    "--out", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to."
)
@click.option(
    "--ranker", default="words", show_default=True, help="An installed one, or package.module:name."
)
def rank(papers: Path, requests: Path, out: Path, ranker: str) -> None:
    """Rank papers without a store, for experiments.

    A paper is {"id", "title", "abstract"}, a request {"qid", "keywords": […], "text", "liked": [ids],
    "disliked": [ids], "candidates": [ids]}, and an answer {"qid", "scores": {id: number}} with a score for
    each candidate. All papers serve as history.
    """
    from digest import plugins

    made = plugins.load("rankers", ranker)()
    known = {paper.id: paper for paper in _papers(papers)}
    asked = [_request(line, place, known) for line, place in _lines(requests)]
    needed = {one for _, need, ranked in asked for one in (*need.liked, *need.disliked, *ranked)}
    read = made.read(_history(known, needed))
    try:
        answers = out.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"this file cannot be written: {error.strerror}", place=str(out)) from error
    with answers:
        for qid, need, ranked in asked:
            judged = made.judge(made.learn(need, read), read)
            scores = {one: judged[one].score for one in ranked if one in judged}
            # In ASCII: an id that came as half a pair of surrogates is no UTF-8.
            answers.write(json.dumps({"qid": qid, "scores": scores}) + "\n")


def _lines(file: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects of a file, each with its place. Raises ConfigError."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{file}:{number}"
            try:
                found = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"this is no JSON: {error}", place=place) from error
            if not isinstance(found, dict):
                raise ConfigError("this is no JSON object", place=place, remedy="Write one object a line.")
            yield found, place


def _text(found: Mapping[str, Any], name: str, place: str, *, needed: bool = False) -> str:
    value = found.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{name!r} is no text", place=place, remedy=f'Write "{name}": "…".')
    return value


def _texts(found: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    values = found.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{name!r} is no list of texts", place=place, remedy=f'Write "{name}": ["…"].')
    return tuple(values)


def _papers(file: Path) -> Iterator[Paper]:
    for found, place in _lines(file):
        yield Paper(
            id=PaperId(_text(found, "id", place, needed=True)),
            title=_text(found, "title", place),
            abstract=_text(found, "abstract", place),
        )


def _request(
    found: Mapping[str, Any], place: str, known: Mapping[PaperId, Paper]
) -> tuple[str, Need, tuple[PaperId, ...]]:
    liked, disliked, candidates = (
        tuple(map(PaperId, _texts(found, name, place))) for name in ("liked", "disliked", "candidates")
    )
    for one in candidates:
        if one not in known:
            raise ConfigError(f"the candidate {one!r} is not among the papers", place=place)
    need = Need(
        keywords=_texts(found, "keywords", place),
        text=_text(found, "text", place),
        liked=liked,
        disliked=disliked,
    )
    return _text(found, "qid", place, needed=True), need, candidates


def _history(known: Mapping[PaperId, Paper], needed: Iterable[PaperId]) -> Iterator[Paper]:
    """The papers that are needed, and of the others evenly as many as are read in a few seconds."""
    needed = {one: None for one in needed if one in known}
    others = sorted((paper for paper in known.values() if paper.id not in needed), key=lambda one: one.id)
    every = max(1, -(-len(others) // _HISTORY))
    yield from (known[one] for one in needed)
    yield from others[::every]
