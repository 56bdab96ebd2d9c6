"""Semantic Scholar, whose bulk search is followed from token to token."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import JSON, NOW, ONE_DAY, Answer, converse, page, parameters

from digest.core.document import reading_document
from digest.core.model import Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.semantic_scholar import SemanticScholar, SemanticScholarReader

READER = SemanticScholarReader()
SEARCH = "https://api.semanticscholar.org/graph/v1/paper/search/bulk"


def paper(number: int, day: str | None = "2026-11-12", **values: object) -> dict[str, Any]:
    return {
        "paperId": f"{number:040}",
        "externalIds": {"CorpusId": 900_000_000 + number},
        "title": f"Invented paper {number}",
        "publicationDate": day,
    } | values


@dataclass
class Site:
    """The API: 1,000 papers and a token for the next ones."""

    papers: list[dict[str, Any]]
    per_page: int = 1000
    broken: dict[int, Answer] = field(default_factory=dict)  # by page; None: unchanged
    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        number = len(self.asked)
        self.asked.append(request)
        if number in self.broken:
            return self.broken[number]
        query = parameters(request.url)
        since = query["publicationDateOrYear"].removesuffix(":")
        found = sorted((item for item in self.papers if item["publicationDate"] >= since), key=_published)
        at = int(query.get("token", "T+0").partition("+")[2])
        rest = at + self.per_page < len(found)
        value = {"total": len(found), "token": f"T+{at + self.per_page}" if rest else None}
        return {**value, "data": found[at:][: self.per_page]}


def _published(item: dict[str, Any]) -> str:
    return str(item["publicationDate"])


def collected(source: SemanticScholar, site: Site, *, days: int = 1) -> Reading:
    return converse(source, Period(NOW - timedelta(days=days), NOW), site.answer)[0]


def numbers(reading: Reading) -> list[int]:
    return [int(listing.paper.id.removeprefix("corpus:")) - 900_000_000 for listing in reading.listings]


def too_many() -> FetchError:
    return FetchError("the site answers 429", place=SEARCH, status=429, retry_after=30, transient=True)


# --- the reader -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "broken or cut short"),
        (b'{"total": 3, "data": [{"paperId"', "broken or cut short"),
        ([paper(1)], "no answer of a search"),
        ({"data": {}}, "no answer of a search"),
        ({"total": 5}, "no answer of a search"),
        ({"error": "Paper with id 0 not found"}, "Paper with id 0 not found"),
        ({"message": "Too Many Requests.", "code": "429"}, "the site answers: Too Many Requests"),
        ({"total": 2, "data": [paper(1, title=None), 5]}, "2 of 2 papers have no title"),
    ],
)
def test_an_answer_that_is_broken_or_an_error_is_never_taken_for_no_papers(value: object, words: str) -> None:
    with pytest.raises(LayoutError, match=words) as caught:
        READER.read(page(value, SEARCH))
    assert caught.value.place == SEARCH
    assert caught.value.remedy


def test_nothing_found_is_no_papers_and_no_error() -> None:
    empty: tuple[object, ...] = ({"total": 0, "token": None, "data": []}, {"total": 0, "offset": 0})
    for value in empty:
        assert READER.read(page(value)).listings == ()


def test_answers_of_the_api_are_recognised_and_those_of_others_are_not() -> None:
    assert READER.recognises(page(b"", SEARCH))
    assert READER.recognises(page({"data": [paper(1)]}, "file:///saved/page.json"))
    for other in (b"", b"[]", b'{"data": []}', b'{"results": [{"paperId": 1}]}', b'"data": ["paperId": 1'):
        assert not READER.recognises(page(other, "https://example.org/"))
    assert READER.recognises(page({"data": [paper(1)]}, "http://["))


KNOWN = st.dictionaries(st.sampled_from(["ArXiv", "DOI", "PubMed", "CorpusId", "url", "text"]), JSON)
NAMES = ("title", "abstract", "externalIds", "url", "openAccessPdf", "publicationDate", "authors", "tldr")
PAPERS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON | KNOWN))


@given(
    st.fixed_dictionaries(
        {"data": JSON | st.lists(JSON | PAPERS)},
        optional={"total": JSON, "token": JSON, "error": JSON, "message": JSON},
    )
)
def test_whatever_the_values_are_nothing_but_a_source_error_is_raised(value: dict[str, Any]) -> None:
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(page(value))))
    with contextlib.suppress(SourceError):
        converse(SemanticScholar(query="kettles"), ONE_DAY, lambda _: value)


# --- the conversation -------------------------------------------------------------------------


def test_the_first_run_looks_back_two_weeks_more_because_papers_enter_the_index_late() -> None:
    site = Site([paper(1, "2026-11-04"), paper(2, "2026-11-05"), paper(3, "2026-12-01")])
    reading = collected(SemanticScholar(query=' "graph kettles" + (lid | spout) '), site)
    (request,) = site.asked
    assert request.url == (
        f"{SEARCH}?query=%22graph%20kettles%22%20%2B%20%28lid%20%7C%20spout%29"
        "&fields=title%2Cabstract%2Cauthors%2Curl%2CexternalIds%2CpublicationDate%2CopenAccessPdf"
        "&publicationDateOrYear=2026-11-05%3A&sort=publicationDate%3Aasc"
    )
    assert numbers(reading) == [2, 3]
    assert (reading.layout, reading.complete, reading.notes) == ("search", True, ())


def test_ten_days_off_are_read_to_the_last_page_and_positions_go_on() -> None:
    site = Site([paper(n, f"2026-11-{1 + n % 20:02}") for n in range(2500)])
    reading = collected(SemanticScholar(query="kettles"), site, days=10 + 5)
    assert len(site.asked) == 3
    assert sorted(numbers(reading)) == list(range(2500))
    assert [listing.position for listing in reading.listings] == list(range(2500))
    assert [urlsplit(request.url).query.partition("&token=")[2] for request in site.asked] == [
        "",
        "T%2B1000",
        "T%2B2000",
    ]


def test_fields_of_study_are_asked_of_the_site() -> None:
    site = Site([])
    collected(SemanticScholar(query="kettles", fields_of_study=["Computer Science", "Law"]), site)
    assert "&fieldsOfStudy=Computer%20Science%2CLaw&" in site.asked[0].url


def test_the_key_goes_into_a_header_and_nowhere_else_and_lets_us_ask_more_often() -> None:
    site = Site([paper(1), paper(2)], per_page=1)
    reading = collected(SemanticScholar(query="kettles", key=lambda: "sesame"), site)
    for request in site.asked:
        assert request.headers == (("x-api-key", "sesame"),)
        assert "sesame" not in f"{request} {request.url} {reading}"
    without = Site([])
    collected(SemanticScholar(query="kettles"), without)
    assert without.asked[0].headers == ()
    paces = [request.pace for request in (*site.asked, *without.asked)]
    assert [(pace.site, pace.interval) for pace in paces if pace] == [
        ("semanticscholar.org", 1.0),
        ("semanticscholar.org", 1.0),
        ("semanticscholar.org", 3.0),
    ]


def test_a_quota_that_is_used_up_is_reported_and_a_key_advised_to_who_has_none() -> None:
    with pytest.raises(FetchError, match=r"429.*give the source a `key`") as caught:
        collected(SemanticScholar(query="kettles"), Site([], broken={0: too_many()}))
    assert (caught.value.status, caught.value.retry_after, caught.value.transient) == (429, 30, True)
    with pytest.raises(FetchError, match=r"429$"):
        collected(SemanticScholar(query="kettles", key=lambda: "sesame"), Site([], broken={0: too_many()}))


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_incomplete() -> None:
    faults: tuple[Answer, ...] = (too_many(), {"message": "Internal Server Error"})
    for fault in faults:
        site = Site([paper(n) for n in range(4)], per_page=2, broken={1: fault})
        reading = collected(SemanticScholar(query="kettles"), site)
        assert (numbers(reading), reading.complete) == ([0, 1], False)
        assert reading.notes[0].startswith("the search for 'kettles' could not be read")


def test_a_search_without_end_is_given_up_and_said_to_be_incomplete() -> None:
    site = Site([paper(n) for n in range(50)], per_page=2)
    reading = collected(SemanticScholar(query="kettles"), site)
    assert (len(site.asked), len(reading.listings), reading.complete) == (20, 40, False)
    assert "more than 40 papers. Ask for something narrower." in reading.notes[0]


def test_an_unchanged_answer_counts_as_read() -> None:
    reading = collected(SemanticScholar(query="kettles"), Site([], broken={0: None}))
    assert (reading.listings, reading.complete) == ((), True)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"query": " "}, "query is empty"), ({"query": "x", "fields_of_study": [" "]}, "empty name")],
)
def test_a_setting_that_means_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SemanticScholar(**options)
