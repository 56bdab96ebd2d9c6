"""Which papers a person means who names them one by one, or gives a library.

    names and files → papers and names → stored, judged or looked up → papers

What cannot be found is an error for each name, and loses no other paper.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from digest.core import identity
from digest.core.model import Pace, Page, Paper, PaperId, Reading, Request
from digest.errors import DigestError, FetchError, LayoutError, SourceError
from digest.ports import Store

_LIBRARIES = {".bib", ".csv", ".json", ".rdf", ".ris", ".txt", ".xml"}
_NAMED = 3  # of the papers that a piece of a title is found in


@dataclass(frozen=True, slots=True)
class Ways:
    """How to get at files and at what is not stored.

    `fetch` raises FetchError and `read` LayoutError; `announce` is told how many papers are about to be
    looked up, and where. Without `online` none is.
    """

    fetch: Callable[[Request], Page]
    read: Callable[[Page], Reading]
    announce: Callable[[int, str], None]
    online: bool


@dataclass(frozen=True, slots=True)
class Meant:
    """The papers that were meant, each once, and what else there is to say."""

    papers: tuple[Paper, ...]
    notes: tuple[str, ...]
    missing: tuple[DigestError, ...]


@dataclass(frozen=True, slots=True)
class _Site:
    """A site that knows papers by their numbers."""

    name: str
    scheme: str
    pace: Pace
    most: int  # papers in one request
    address: Callable[[Sequence[str]], str]


def _works(dois: Sequence[str]) -> str:
    """One work, or those that any of several filters lets through (https://api.crossref.org/swagger-ui/)."""
    if len(dois) == 1:
        return f"https://api.crossref.org/works/{quote(dois[0], safe='')}"
    chosen = ",".join(f"doi:{quote(doi, safe='')}" for doi in dois)
    return f"https://api.crossref.org/works?filter={chosen}&rows={len(dois)}"


def _preprints(numbers: Sequence[str]) -> str:
    """https://info.arxiv.org/help/api/user-manual.html, 3.1.1.2; it gives ten unless asked for more."""
    return f"https://export.arxiv.org/api/query?id_list={','.join(numbers)}&max_results={len(numbers)}"


_SITES = (
    # https://info.arxiv.org/help/api/tou.html: one request in three seconds.
    _Site("arxiv.org", "arxiv", Pace("arxiv.org", 3.0), 100, _preprints),
    _Site("crossref.org", "doi", Pace("crossref.org", 0.5), 40, _works),
)


def find(store: Store, profile: str, named: Sequence[str], ways: Ways, *, forgetting: bool = False) -> Meant:
    """The papers that are meant by names and files. Raises StoreError.

    Who is `forgetting` a paper by its number needs no more than that.
    """
    notes: list[str] = []
    missing: list[DigestError] = []
    judged = [(one.paper, set(identity.aliases(one.paper))) for one in store.judgements(profile)]
    found: list[Paper] = []
    unknown: list[Paper] = []
    for item in _wanted(named, ways, notes, missing):
        meant = _of_library(store, item) if isinstance(item, Paper) else _meant(store, judged, item)
        if isinstance(meant, DigestError):
            missing.append(meant)
            continue
        paper, is_known = meant
        (found if is_known or paper.abstract else unknown).append(paper)
    looked_up: dict[PaperId, Paper] = {}
    failed: dict[PaperId, SourceError] = {}
    if ways.online and not forgetting:
        looked_up, failed = _look_up([number for paper in unknown if (number := _number(paper))], ways)
    bare = 0
    for paper in unknown:
        number = _number(paper)
        if number in looked_up:
            found.append(identity.merge(paper, looked_up[number]))
        elif paper.title or forgetting:
            found.append(paper)
            bare += 1
        elif paper.id not in failed:
            missing.append(_unknown(paper.id, is_online=ways.online))
    for reason in dict.fromkeys(failed.values()):
        what = f"could not be looked up at {identity.host(reason.place or '')}: {reason.message}"
        stubs = [paper.id for paper in unknown if failed.get(paper.id) is reason and not paper.title]
        if stubs:
            values = ", ".join(name.partition(":")[2] for name in stubs)
            missing.append(DigestError(f"{values} {what}", remedy="Try again later."))
        else:
            notes.append(f"abstracts {what}")
    if bare and not forgetting:
        notes.append(f"papers without an abstract, from which little is learned: {bare}")
    return Meant(tuple({paper.id: paper for paper in found}.values()), tuple(notes), tuple(missing))


def _wanted(
    named: Sequence[str], ways: Ways, notes: list[str], missing: list[DigestError]
) -> Iterator[Paper | str]:
    """What stands in files, and the other names as they are."""
    for name in named:
        path = Path(name).expanduser()
        if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where a title is longer than a path may be
            yield name
            continue
        try:
            page = ways.fetch(Request(path.absolute().as_uri()))
            try:
                reading = ways.read(page)
            except LayoutError:
                if not (lines := _lines(page)):
                    raise
                yield from lines
                continue
        except SourceError as error:
            missing.append(error)
            continue
        notes += (f"{name}: {note}" for note in reading.notes)
        yield from (listing.paper for listing in reading.listings)


def _lines(page: Page) -> list[str]:
    """The lines of a list of numbers; none if it is anything else."""
    if b"\0" in page.content:
        return []
    text = page.content.decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    numbered = sum(_looked_for(identity.names(line)) is not None for line in lines)
    return lines if numbered * 2 > len(lines) else []


def _of_library(store: Store, paper: Paper) -> tuple[Paper, bool]:
    """A library's paper as it is stored, and whether it is."""
    stored = store.known(paper)
    if stored is None:
        return paper, False
    return stored if stored.abstract else identity.merge(stored, paper), True


def _meant(
    store: Store, judged: Sequence[tuple[Paper, set[PaperId]]], text: str
) -> tuple[Paper, bool] | DigestError:
    """The paper that a text means and True if it is stored or judged; else of its number alone, and False.

    An error where it means none or several.
    """
    names = identity.names(text)
    if number := _looked_for(names):
        paper = store.known(Paper(number, title=""))
        known = paper or next((paper for paper, own in judged if number in own), None)
        return known or Paper(number, title=""), known is not None
    stored = [(found.paper, set(identity.aliases(found.paper))) for found in store.find_papers(text)]
    papers = [*stored, *judged]
    title = identity.normalised_title(text)
    found = _each_once(paper for paper, own in papers if text == paper.url or not own.isdisjoint(names))
    found = found or _each_once(
        paper for paper, _ in papers if title and title in identity.normalised_title(paper.title)
    )
    if not found and Path(text).suffix.lower() in _LIBRARIES:
        return FetchError("there is no such file", place=text, remedy="Check the path.")
    if not found:
        return DigestError(
            f"no stored paper is {text!r}",
            remedy="Give its arXiv id or its DOI, so that it can be looked up.",
        )
    if len(found) > 1:
        some = ", ".join(f"{paper.title!r} ({paper.id})" for paper in found[:_NAMED])
        more = ", …" if len(found) > _NAMED else ""
        return DigestError(f"{text!r} may mean {some}{more}", remedy="Give the id of the one that you mean.")
    return found[0], True


def _each_once(papers: Iterable[Paper]) -> list[Paper]:
    found: list[Paper] = []
    for paper in papers:
        if not any(_is_same(paper, other) for other in found):
            found.append(paper)
    return found


def _is_same(one: Paper, other: Paper) -> bool:
    shared = set(identity.aliases(one)).intersection(identity.aliases(other))
    return any(identity.may_merge(other, one, by_title=identity.is_bare(name)) for name in shared)


def _number(paper: Paper) -> PaperId | None:
    """The identifier that a paper can be looked up by."""
    return _looked_for((paper.id, *paper.identifiers))


def _looked_for(names: Iterable[PaperId]) -> PaperId | None:
    schemes = tuple(f"{site.scheme}:" for site in _SITES)
    return next((name for name in names if name.startswith(schemes)), None)


def _look_up(
    numbers: Sequence[PaperId], ways: Ways
) -> tuple[dict[PaperId, Paper], dict[PaperId, SourceError]]:
    """Papers by their identifiers, and why a site could not be asked for the others."""
    known: dict[PaperId, Paper] = {}
    failed: dict[PaperId, SourceError] = {}
    for site in _SITES:
        prefix = f"{site.scheme}:"
        asked = [number for number in dict.fromkeys(numbers) if number.startswith(prefix)]
        if asked:
            ways.announce(len(asked), site.name)
        for some in _batches(asked, site.most):
            request = Request(site.address([number.removeprefix(prefix) for number in some]), pace=site.pace)
            try:
                reading = ways.read(ways.fetch(request))
            except FetchError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    failed |= dict.fromkeys(some, error)
                if error.transient:
                    failed |= dict.fromkeys(asked, error)
                    break
            except LayoutError as error:
                failed |= dict.fromkeys(some, error)
            else:
                known |= {
                    name: listing.paper
                    for listing in reading.listings
                    for name in identity.aliases(listing.paper)
                }
    return known, failed


def _batches(numbers: Sequence[PaperId], most: int) -> Iterator[Sequence[PaperId]]:
    """A filter of Crossref is cut at commas, so that a DOI with one is asked for alone."""
    simple = [number for number in numbers if "," not in number]
    for start in range(0, len(simple), most):
        yield simple[start : start + most]
    yield from ([number] for number in numbers if "," in number)


def _unknown(number: PaperId, *, is_online: bool) -> DigestError:
    scheme, _, value = number.partition(":")
    if not is_online:
        return DigestError(f"{value} is not stored", remedy="Without --no-fetch it is looked up.")
    site = next(site.name for site in _SITES if site.scheme == scheme)
    return DigestError(
        f"{value} is not stored, and {site} does not know it",
        remedy="Check the number, or give a file that holds the paper, such as its BibTeX.",
    )
