"""Answers of the OAI-PMH service, oaipmh.arxiv.org: papers by the day their metadata last changed.

https://info.arxiv.org/help/oa/index.html, https://www.openarchives.org/OAI/openarchivesprotocol.html
Three formats are read: `arXiv`, `arXivRaw` and `oai_dc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from lxml import etree

from digest.core import wire
from digest.core.identity import arxiv_id
from digest.core.model import Listing, Page, Paper
from digest.core.wire import Element
from digest.sources.arxiv.categories import of_set
from digest.sources.arxiv.papers import fail, left_out, listing, paper, people

_GIVEN = re.compile(r"(?:[a-zA-Z.-]+/)?([0-9]{2})([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Record:
    """A paper with the instants its versions were submitted, which `arXivRaw` alone tells."""

    listing: Listing
    versions: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Harvested:
    """A page of records, and what to ask for the next one by."""

    records: tuple[Record, ...]
    token: str | None
    notes: tuple[str, ...]


def harvested(page: Page, root: Element) -> Harvested:
    """The papers of an answer. Raises LayoutError.

    That no records match is an answer like any other (OAI-PMH, 3.6).
    """
    for error in _children(root, "error"):
        code = error.get("code")
        if code == "noRecordsMatch":
            return Harvested((), None, ("no records match",))
        fail(page, f"the service answers with an error: {code}, {wire.text(error.text) or 'nothing more'}")
    lists = [*_children(root, "ListRecords"), *_children(root, "GetRecord")]
    entries = [record for part in lists for record in _children(part, "record")]
    if _name(root) == "record":
        entries = [root]
    if not entries:
        fail(page, "there is neither a record nor an error")
    there = [entry for entry in entries if not _is_deleted(entry)]
    records: list[Record] = []
    for entry in there:
        found = _record(entry, len(records))
        records += [found] if found else []
    if there and not records:
        fail(page, f"none of its {len(there)} records has a title and a number")
    tokens = (wire.text(token.text) for part in lists for token in _children(part, "resumptionToken"))
    return Harvested(tuple(records), next(filter(None, tokens), None), left_out(records, len(there)))


def _is_deleted(record: Element) -> bool:
    return any(header.get("status") == "deleted" for header in _children(record, "header"))


def _record(record: Element, position: int) -> Record | None:
    """A record in any of the formats; the header's sets stand in for categories that it does not name."""
    sets = [text for header in _children(record, "header") for text in _texts(header, "setSpec")]
    versions: tuple[datetime, ...] = ()
    made: Paper | None = None
    for metadata in (item for part in _children(record, "metadata") for item in _children(part)):
        form = _name(metadata)
        if form == "arXiv":
            made = _arxiv(metadata)
        elif form == "arXivRaw":
            versions = tuple(sorted(_instants(metadata)))
            made = _raw(metadata, versions)
        elif form == "dc":
            made = _dublin_core(metadata, [name for spec in sets if (name := of_set(spec))])
    return Record(listing(made, position), versions) if made else None


def _arxiv(metadata: Element) -> Paper | None:
    created, updated = (wire.day(_first(metadata, name)) for name in ("created", "updated"))
    number = _first(metadata, "id") or ""
    if created and _is_after(created, number):
        # Since 2025 `created` is the day of the last version, and `updated` that of the metadata.
        # https://github.com/arXiv/oaipmh, oaipmh/templates/record_formats.xml
        created, updated = None, created
    authors = (
        " ".join(filter(None, (_first(author, part) for part in ("forenames", "keyname", "suffix"))))
        for group in _children(metadata, "authors")
        for author in _children(group, "author")
    )
    return _paper(metadata, number, filter(None, authors), created, updated)


def _is_after(day: date, number: str) -> bool:
    """Whether a day lies after the month in which a number was given, as no first version does.

    https://info.arxiv.org/help/availability.html: numbers are given when a paper is announced.
    """
    given = _GIVEN.match(number)
    if given is None:
        return False
    year = int(given[1])
    return (day.year, day.month) > (year + (1900 if year > 90 else 2000), int(given[2]))  # noqa: PLR2004 - 1991


def _raw(metadata: Element, versions: tuple[datetime, ...]) -> Paper | None:
    days = [version.date() for version in versions]
    authors = people(_first(metadata, "authors") or "")
    first, last = min(days, default=None), max(days, default=None)
    return _paper(metadata, _first(metadata, "id") or "", authors, first, last)


def _paper(
    metadata: Element, number: str, authors: Iterable[str], published: date | None, updated: date | None
) -> Paper | None:
    """What `arXiv` and `arXivRaw` have in common."""
    known, title = arxiv_id(number), _first(metadata, "title")
    if not known or not title:
        return None
    return paper(
        known,
        title,
        abstract=_first(metadata, "abstract"),
        authors=authors,
        categories=(_first(metadata, "categories") or "").split(),
        doi=_first(metadata, "doi"),
        published=published,
        updated=updated,
    )


def _dublin_core(metadata: Element, categories: list[str]) -> Paper | None:
    names = list(_texts(metadata, "identifier"))
    numbers = [number for name in names if "arxiv.org/abs/" in name and (number := arxiv_id(name))]
    title = _first(metadata, "title")
    if not numbers or not title:
        return None
    days = [day for text in _texts(metadata, "date") if (day := wire.day(text))]
    return paper(
        numbers[0],
        title,
        abstract=_first(metadata, "description"),  # the second is the comment
        authors=[_turned(name) for name in _texts(metadata, "creator")],
        categories=categories,
        doi=next((name for name in names if name.startswith("doi:")), None),
        published=min(days, default=None),
        updated=max(days, default=None),
    )


def _turned(name: str) -> str:
    """`Smolin, Lee` as people write it."""
    family, _, given = name.partition(", ")
    return f"{given} {family}".strip()


def _instants(metadata: Element) -> Iterator[datetime]:
    """When the versions were submitted: `Tue, 15 Sep 2009 17:34:26 GMT`."""
    for version in _children(metadata, "version"):
        try:
            instant = parsedate_to_datetime(_first(version, "date") or "")
        except (ValueError, OverflowError):
            continue
        if instant.tzinfo:
            yield instant


def _name(element: Element) -> str:
    return etree.QName(element).localname


def _children(element: Element, name: str | None = None) -> list[Element]:
    """The elements within one, whatever their name space: a record saved alone has lost its own."""
    return [child for child in element.iterchildren("*") if name is None or _name(child) == name]


def _texts(element: Element, name: str) -> Iterator[str]:
    return (text for child in _children(element, name) if (text := wire.text(child.text)))


def _first(element: Element, name: str) -> str | None:
    return next(_texts(element, name), None)
