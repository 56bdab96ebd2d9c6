"""Europe PMC: what its search gives, and how it is asked for what was indexed lately."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import JSON, ONE_DAY, TEN_DAYS, Answer, gone, page, parameters, talk

from digest.core.document import reading_document
from digest.core.model import Paper
from digest.errors import LayoutError, SourceError
from digest.sources.europepmc import EuropePmc, EuropePmcReader

READER = EuropePmcReader()


def record(number: int, **fields: object) -> dict[str, Any]:
    return {"id": str(number), "source": "MED", "title": f"Paper {number}.", **fields}


def answer(*records: object, hits: int | None = None, following: str | None = None) -> dict[str, Any]:
    marks = {} if following is None else {"nextCursorMark": following}
    count = len(records) if hits is None else hits
    return {"version": "6.9", "hitCount": count, **marks, "resultList": {"result": list(records)}}


def paper(**fields: object) -> Paper:
    (listing,) = READER.read(page(answer(record(1, **fields)))).listings
    return listing.paper


def test_what_was_first_indexed_since_the_last_reading_is_searched_with_an_overlap() -> None:
    reading, (request,) = talk(EuropePmc(query=' tea OR "green & black" '), ONE_DAY, [answer(record(1))])
    assert request.url.startswith("https://www.ebi.ac.uk/europepmc/webservices/rest/search?")
    assert parameters(request.url) == {
        "query": '(tea OR "green & black") AND (FIRST_IDATE:[2026-11-17 TO 2026-11-20])',
        "format": "json",
        "resultType": "core",
        "pageSize": "200",
        "cursorMark": "*",
    }
    assert request.pace
    assert request.pace.site == "ebi.ac.uk"
    assert [(item.paper.id, item.paper.title) for item in reading.listings] == [("pmid:1", "Paper 1")]


def test_after_ten_days_off_all_of_them_are_searched() -> None:
    _, (request,) = talk(EuropePmc(query="tea"), TEN_DAYS, [answer()])
    assert parameters(request.url)["query"] == "(tea) AND (FIRST_IDATE:[2026-11-08 TO 2026-11-20])"


@pytest.mark.parametrize(
    "last",
    [
        answer(record(3)),  # without a mark, as since version 6.6
        answer(record(3), following="Ao+/="),  # with the same one, as before
    ],
)
def test_marks_are_followed_until_there_is_no_new_one(last: dict[str, Any]) -> None:
    answers = [answer(record(1), record(2), following="Ao+/="), last]
    reading, requests = talk(EuropePmc(query="tea"), ONE_DAY, answers)
    assert requests[1].url.endswith("&cursorMark=Ao%2B%2F%3D")
    assert [(item.paper.id, item.position) for item in reading.listings] == [
        ("pmid:1", 0),
        ("pmid:2", 1),
        ("pmid:3", 200),
    ]
    assert (reading.complete, reading.notes) == (True, ())


def test_an_empty_page_is_the_last_even_if_more_were_counted() -> None:
    answers = [answer(record(1), hits=3, following="x"), answer(hits=3, following="y")]
    reading, _ = talk(EuropePmc(query="tea"), ONE_DAY, answers)
    assert (len(reading.listings), reading.complete) == (1, True)


def test_a_day_without_papers_is_complete() -> None:
    reading, _ = talk(EuropePmc(query="tea"), ONE_DAY, [answer()])
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ())


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_not_complete() -> None:
    reading, _ = talk(EuropePmc(query="tea"), ONE_DAY, [answer(record(1), following="x"), gone(503)])
    assert (len(reading.listings), reading.complete) == (1, False)
    assert reading.notes == ("the rest could not be read: the site: no answer. wait.",)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (gone(), "no answer"),
        (answer(hits=7), "counts 7 hits and holds none"),
        ({"version": "6.9"}, "no list"),
    ],
)
def test_if_nothing_can_be_read_the_error_is_raised(fault: Answer, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        talk(EuropePmc(query="tea"), ONE_DAY, [fault])


def test_a_search_that_never_ends_is_cut_and_said_to_be() -> None:
    answers = [answer(record(n + 1), following=f"x{n}") for n in range(50)]
    reading, _ = talk(EuropePmc(query="tea"), ONE_DAY, answers)
    assert (len(reading.listings), reading.complete) == (50, False)
    assert "more than the 10,000" in reading.notes[0]


def test_an_unchanged_answer_counts_as_read() -> None:
    reading, _ = talk(EuropePmc(query="tea"), ONE_DAY, [None])
    assert (reading.listings, reading.complete) == ((), True)


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query is empty"):
        EuropePmc(query=" ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "broken"),
        ("[]", "no list of results"),
        ('{"hitCount": 0, "resultList": {"result": {}}}', "no list of results"),
        ('{"errCode": 400, "errMsg": "Bad query"}', "Bad query"),
        ('{"resultList": {"result": [1, {"id": "1"}, {"source": "MED"}]}}', "none of its 3 results"),
    ],
)
def test_what_is_no_list_of_results_is_an_error_and_never_an_empty_day(content: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        READER.read(page(content))


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ({"fullName": "Åkermann ZM", "firstName": "Zoë M", "lastName": "Åkermann"}, "Zoë M Åkermann"),
        ({"fullName": "Åkermann ZM", "lastName": "Åkermann"}, "Z M Åkermann"),
        ({"fullName": "van der Kale Q"}, "Q van der Kale"),
        ({"fullName": "Plato"}, "Plato"),
        ({"collectiveName": "Tea Study Group"}, "Tea Study Group"),
    ],
)
def test_names_begin_with_the_given_ones(author: dict[str, str], name: str) -> None:
    assert paper(authorList={"author": [author]}).authors == (name,)


def test_a_record_without_doi_or_pubmed_id_is_known_by_its_address() -> None:
    assert paper(source="PMC", id="PMC90002").id == "url:europepmc.org/article/PMC/PMC90002"
    assert paper(source="PMC", id="PMC90002", pmid="90000002").id == "pmid:90000002"


def test_pages_of_others_are_not_recognised() -> None:
    for other in (
        "",
        "\0",
        "{}",
        '{"resultList": {"result": []}}',
        '{"hitCount": 3, "results": []}',
        '[{"hitCount": 3, "resultList": {}}]',
    ):
        assert not READER.recognises(page(other))
    assert READER.recognises(page(answer()))


AUTHOR = st.fixed_dictionaries(
    {}, optional={"fullName": st.text() | JSON, "firstName": JSON, "lastName": JSON}
)
LINK = st.fixed_dictionaries({"documentStyle": st.just("pdf") | JSON, "url": JSON})
RECORD = st.fixed_dictionaries(
    {"id": st.text() | JSON, "source": st.just("MED") | st.text(), "title": st.text() | JSON},
    optional={
        "pmid": JSON,
        "doi": JSON,
        "authorList": st.fixed_dictionaries({"author": st.lists(AUTHOR | JSON)}) | JSON,
        "abstractText": st.text() | JSON,
        "keywordList": st.fixed_dictionaries({"keyword": JSON}) | JSON,
        "fullTextUrlList": st.fixed_dictionaries({"fullTextUrl": st.lists(LINK | JSON)}) | JSON,
        "firstIndexDate": st.text() | JSON,
        "firstPublicationDate": JSON,
    },
)


@given(st.lists(RECORD | JSON), JSON, JSON)
def test_records_of_any_kind_raise_nothing_but_a_source_error(
    records: list[object], hits: object, mark: object
) -> None:
    content = {"hitCount": hits, "nextCursorMark": mark, "resultList": {"result": records}}
    READER.recognises(page(content))
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(page(content)))).encode()
    with contextlib.suppress(SourceError, AssertionError):  # asking for more is all right
        talk(EuropePmc(query="tea"), ONE_DAY, [content])
