"""PubMed: the index of medicine, asked through its E-utilities.

    esearch: query and days → how many, and where NCBI keeps them → efetch: pages of 200 → Listings

The days are those on which a record entered PubMed, which is what "new" means to a reader.
The documents are described in https://www.ncbi.nlm.nih.gov/books/NBK25499/ and NLM's PubMed DTD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote

from digest.core import wire
from digest.core.identity import doi, first, identifiers
from digest.core.model import Listing, Pace, Page, Paper, Period, Reading, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan, Secret
from digest.sources import Harvest, Steps, gather

_API = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
_SITE = "ncbi.nlm.nih.gov"
_PER_PAGE = 200
_MOST = 9_999  # "ESearch can only retrieve the first 9,999 records matching the query", says its error
_OVERLAP = timedelta(days=2)  # days are those of Maryland, and the index is built over night
_SETS = {"PubmedArticleSet", "PubmedArticle", "PubmedBookArticle"}
_RECORDS = re.compile(rb"<(?:PubmedArticleSet|PubmedArticle|PubmedBookArticle)[\s>]")
_NUMBERS = re.compile(rb'\s*\{[^\[]*"esearchresult"\s*:')
_HEAD = 2_000  # bytes: the declaration and the document type come before the first tag
_BRACKETED = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MEDLINE_DATE = re.compile(r"(\d{4})(?:\s+([A-Za-z]{3}))?")  # "2026 Jan-Feb", "2025 Dec-2026 Jan"
_DOUBTS = {
    "fieldsnotfound": "PubMed does not know the field {} and searched without it",
    "phrasesnotfound": "PubMed does not know {}",
    "phrasesignored": "PubMed left out {} when it searched",
    "quotedphrasesnotfound": "PubMed does not know the phrase {}",
    "outputmessages": "PubMed says: {}",
}
_TITLES = ("MedlineCitation/Article/ArticleTitle", "BookDocument/ArticleTitle", "BookDocument/Book/BookTitle")
_VERNACULAR = "MedlineCitation/Article/VernacularTitle"
_ABSTRACTS = ("MedlineCitation/Article/Abstract/AbstractText", "BookDocument/Abstract/AbstractText")
_AUTHORS = ("MedlineCitation/Article/AuthorList/Author", "BookDocument/AuthorList/Author")
_IDS = ("PubmedData/ArticleIdList", "BookDocument/ArticleIdList", "PubmedBookData/ArticleIdList")
_KEYWORDS = (
    "MedlineCitation/KeywordList/Keyword",
    "MedlineCitation/MeshHeadingList/MeshHeading/DescriptorName",
    "BookDocument/KeywordList/Keyword",
)
_HISTORY = ("PubmedData/History/PubMedPubDate", "PubmedBookData/History/PubMedPubDate")
_PRINTED = (
    "MedlineCitation/Article/Journal/JournalIssue/PubDate",
    "BookDocument/ContributionDate",
    "BookDocument/Book/PubDate",
)


class PubMedReader:
    """Reads what efetch gives: articles and chapters of books, in XML."""

    name = "pubmed"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of efetch, or of esearch, which holds no papers."""
        head = page.content[:_HEAD]
        return _NUMBERS.match(head) is not None or (
            head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and _RECORDS.search(head) is not None
        )

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        place = wire.readable(page.url)
        if _NUMBERS.match(page.content[:_HEAD]):
            raise LayoutError(
                "this is an answer of esearch, which holds only the numbers of papers",
                place=place,
                remedy="Save what efetch gives for them, with retmode=xml",
            )
        root = wire.xml_root(page)
        if root.tag not in _SETS:
            message = wire.text(root.findtext(".//ERROR") or "")
            raise LayoutError(
                f"the answer is an error: {message}" if message else "the XML is no set of PubMed's records",
                place=place,
            )
        records = [root] if root.tag != "PubmedArticleSet" else [item for item in root if item.tag in _SETS]
        if not records:
            raise LayoutError("the set holds no records", place=place)
        found = [(record, title) for record in records if (title := _title(record))]
        listings = tuple(
            Listing(_paper(record, title), self.name, _entered(record), position)
            for position, (record, title) in enumerate(found)
        )
        rest = len(records) - len(found)
        notes = (f"{rest} of {len(records)} records have no title and are left out",) if rest else ()
        return Reading("efetch", listings, captured_on=captured_on, notes=notes)


class PubMed:
    """Papers that entered PubMed lately.

    `query` is in PubMed's own language, as in its search field.
    `key` is free with an account of NCBI and lifts the pace from 3 to 10 requests a second;
    `contact` is the e-mail address that NCBI asks for.
    Raises ValueError.
    """

    def __init__(
        self, name: str = "pubmed", *, query: str, key: Secret | None = None, contact: str | None = None
    ) -> None:
        self.name = name
        self._query = query.strip()
        self._key = key
        self._pace = Pace(_SITE, 0.1 if key else 0.34)
        self._who = "tool=digest" + (f"&email={quote(contact, safe='@')}" if contact else "")
        self._reader = PubMedReader()
        if not self._query:
            raise ValueError("query is empty")

    def collect(self, period: Period) -> Plan:
        """Read what entered PubMed in a period. Raises SourceError if none of it can be read."""
        return gather(lambda harvest: self._pages(period, harvest))

    def _pages(self, period: Period, harvest: Harvest) -> Steps:
        secrets = (("api_key", self._key()),) if self._key else ()
        since = period.since.astimezone(UTC).date() - _OVERLAP
        until = period.until.astimezone(UTC).date()
        page = yield Request(
            f"{_API}/esearch.fcgi?db=pubmed&term={quote(self._query, safe='')}&datetype=edat"
            f"&mindate={since:%Y/%m/%d}&maxdate={until:%Y/%m/%d}&usehistory=y&retmax=0&retmode=json&{self._who}",
            secrets=secrets,
            pace=self._pace,
        )
        if page is None:
            harvest.unchanged("efetch")
            return
        result = _search_result(page)
        harvest.notes.extend(_doubts(result))
        count, where = _found(page, result)
        if not count:
            harvest.unchanged("efetch")
        for start in range(0, min(count, _MOST), _PER_PAGE):
            size = min(_PER_PAGE, _MOST - start)
            page = yield Request(
                f"{_API}/efetch.fcgi?db=pubmed&{where}&retstart={start}&retmax={size}"
                f"&rettype=abstract&retmode=xml&{self._who}",
                secrets=secrets,
                pace=self._pace,
            )
            if page is None:
                harvest.unchanged("efetch")
                return
            harvest.add(self._reader.read(page), offset=start)
        if count > _MOST:
            raise SourceError(
                f"{count:,} records match, and PubMed gives no more than {_MOST:,}",
                remedy="Make the query narrower",
            )
        if len(harvest.listings) < count:
            harvest.notes.append(f"PubMed found {count:,} records and gave {len(harvest.listings):,} papers")


def _search_result(page: Page) -> dict[str, Any]:
    """What esearch found. Raises LayoutError."""
    answer = wire.table(wire.json_value(page))
    result = answer.get("esearchresult")
    message = first((wire.text(wire.table(result).get("ERROR")), wire.text(answer.get("error"))))
    if message or not isinstance(result, dict):
        raise LayoutError(
            f"the answer is an error: {message}" if message else "the answer is none of esearch",
            place=wire.readable(page.url),
        )
    return result


def _found(page: Page, result: dict[str, Any]) -> tuple[int, str]:
    """How many records were found, and the parameters that fetch them. Raises LayoutError."""
    count = wire.number(result.get("count"))
    session, key = wire.text(result.get("webenv")), wire.number(result.get("querykey"))
    if count is None or (count and not (session and key)):
        raise LayoutError(
            "the answer does not say how many records there are or where they are kept",
            place=wire.readable(page.url),
        )
    return count, f"WebEnv={quote(session or '', safe='')}&query_key={key}"


def _doubts(result: dict[str, Any]) -> Iterator[str]:
    """What PubMed did not do as the query says.

    Words that it does not know are no error: one may be waiting for the first paper that has them.
    """
    said = {**wire.table(result.get("errorlist")), **wire.table(result.get("warninglist"))}
    for kind, sentence in _DOUBTS.items():
        if words := [word for item in wire.entries(said.get(kind)) if (word := wire.text(item))]:
            yield sentence.format(", ".join(words))


def _paper(record: wire.Element, title: str) -> Paper:
    pmid = _line(record, "MedlineCitation/PMID", "BookDocument/PMID")
    name = doi(
        _line(
            record,
            *(f"{path}/ArticleId[@IdType='doi']" for path in _IDS),
            "MedlineCitation/Article/ELocationID[@EIdType='doi'][@ValidYN='Y']",
        )
        or ""
    )
    pmc = _line(record, *(f"{path}/ArticleId[@IdType='pmc']" for path in _IDS))
    names = identifiers(title=title, doi=name, pmid=pmid)
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=" ".join(_sections(record)),
        authors=tuple(_authors(record)),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{quote(pmid, safe='')}/" if pmid else None,
        pdf_url=f"https://pmc.ncbi.nlm.nih.gov/articles/{quote(pmc, safe='')}/pdf/" if pmc else None,
        published=_published(record),
        doi=name,
        keywords=tuple(dict.fromkeys(filter(None, map(_words, _all(record, *_KEYWORDS))))),
    )


def _all(record: wire.Element, *paths: str) -> Iterator[wire.Element]:
    for path in paths:
        yield from record.iterfind(path)


def _words(element: wire.Element) -> str | None:
    """The text of an element and of the <i>, <sup> and MathML in it."""
    return wire.prose("".join(map(str, element.itertext())))


def _line(record: wire.Element, *paths: str) -> str | None:
    """The text of the first element that has one."""
    return first(map(_words, _all(record, *paths)))


def _title(record: wire.Element) -> str | None:
    """The title without its final dot, and without the brackets that say it was translated."""
    title = _bare(_line(record, *_TITLES))
    if title and title != "Not Available":  # as is said of titles that nobody translated
        return title
    return _bare(_line(record, _VERNACULAR))


def _bare(title: str | None) -> str | None:
    if title is None:
        return None
    title = title if title.endswith("..") else title.removesuffix(".")
    bracketed = _BRACKETED.fullmatch(title)
    return (bracketed[1].removesuffix(".") if bracketed else title).strip() or None


def _sections(record: wire.Element) -> Iterator[str]:
    """The parts of the abstract, with their labels."""
    for part in _all(record, *_ABSTRACTS):
        if words := _words(part):
            label = wire.text(part.get("Label"))
            yield f"{label}: {words}" if label and label != "UNLABELLED" else words


def _authors(record: wire.Element) -> Iterator[str]:
    for author in _all(record, *_AUTHORS):
        names = (_line(author, "ForeName", "Initials"), _line(author, "LastName"))
        name = " ".join(filter(None, names)) or _line(author, "CollectiveName")
        if name and author.get("ValidYN") != "N":
            yield name


def _published(record: wire.Element) -> date | None:
    """The day it was out: on line or in PubMed, whichever came first, else as the issue says."""
    dates = [*_all(record, "MedlineCitation/Article/ArticleDate"), *_at(record, "pubmed")]
    days = [day for item in dates if (day := _day(item))]
    return min(days) if days else next(filter(None, map(_day, _all(record, *_PRINTED))), None)


def _entered(record: wire.Element) -> date | None:
    """The day the record entered PubMed."""
    return next(filter(None, map(_day, _at(record, "entrez"))), None)


def _at(record: wire.Element, status: str) -> Iterator[wire.Element]:
    return (item for item in _all(record, *_HISTORY) if item.get("PubStatus") == status)


def _day(element: wire.Element) -> date | None:
    """A date in parts, whose month may be a name; a month is its first day, and a year alone is none."""
    year, month, day = (_line(element, part) for part in ("Year", "Month", "Day"))
    if not year and (found := _MEDLINE_DATE.match(_line(element, "MedlineDate") or "")):
        year, month = found[1], found[2]
    number = _month(month)
    return wire.day(f"{year}-{number}-{day or 1}") or wire.day(f"{year}-{number}")


def _month(name: str | None) -> str:
    small = (name or "").casefold()[:3]
    return str(_MONTHS.index(small) + 1) if small in _MONTHS else small
