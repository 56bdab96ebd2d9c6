"""Crossref: what its pages hold, and how it is asked for what was registered lately."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import JSON, ONE_DAY, TEN_DAYS, gone, page, parameters, talk

from digest.core.document import reading_document
from digest.core.model import Paper
from digest.errors import LayoutError, SourceError
from digest.sources.crossref import Crossref, CrossrefReader

READER = CrossrefReader()
ROWS = 500


def work(number: int, **fields: object) -> dict[str, Any]:
    return {"DOI": f"10.5555/{number}", "title": [f"Work {number}"], "type": "journal-article", **fields}


def answer(*works: object, following: str | None = "next") -> dict[str, Any]:
    message = {"items": list(works), "next-cursor": following, "total-results": len(works)}
    return {"status": "ok", "message-type": "work-list", "message": message}


def full(first: int) -> dict[str, Any]:
    return answer(*(work(first + n) for n in range(ROWS)), following=f"a+b/{first}=")


def paper(**fields: object) -> Paper:
    (listing,) = READER.read(page(answer(work(1, **fields)))).listings
    return listing.paper


def test_what_was_registered_since_the_last_reading_is_asked_for_with_an_overlap() -> None:
    source = Crossref(
        query="shifted windows & co",
        issn=["1234-5678", "8765-432X"],
        filter="type:journal-article",
        contact="me+papers@example.org",
    )
    reading, (request,) = talk(source, ONE_DAY, [answer(work(1))])
    assert request.url.startswith("https://api.crossref.org/works?")
    asked = parameters(request.url)
    assert asked.pop("select").startswith("DOI,URL,")
    assert asked == {
        "query.bibliographic": "shifted windows & co",
        "filter": "issn:1234-5678,issn:8765-432X,type:journal-article,from-created-date:2026-11-17",
        "rows": "500",
        "cursor": "*",
        "mailto": "me+papers@example.org",
    }
    assert request.pace
    assert (request.pace.site, request.secrets) == ("crossref.org", ())
    assert [item.paper.id for item in reading.listings] == ["doi:10.5555/1"]


def test_after_ten_days_off_all_of_them_are_asked_for() -> None:
    _, (request,) = talk(Crossref(issn=["1234-5678"]), TEN_DAYS, [answer()])
    assert parameters(request.url)["filter"] == "issn:1234-5678,from-created-date:2026-11-08"
    assert "query" not in request.url
    assert "mailto" not in request.url


def test_pages_are_asked_for_until_one_is_not_full() -> None:
    reading, requests = talk(Crossref(query="the"), ONE_DAY, [full(1000), full(2000), answer(work(1))])
    assert [parameters(request.url)["cursor"] for request in requests] == ["*", "a+b/1000=", "a+b/2000="]
    assert (len(reading.listings), reading.listings[-1].position) == (1001, 1000)
    assert (reading.complete, reading.notes) == (True, ())


def test_a_full_page_without_a_next_cursor_is_the_last() -> None:
    last = answer(*(work(n) for n in range(ROWS)), following=None)
    reading, _ = talk(Crossref(query="the"), ONE_DAY, [last])
    assert (len(reading.listings), reading.complete) == (ROWS, True)


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_not_complete() -> None:
    reading, _ = talk(Crossref(query="the"), ONE_DAY, [full(1000), gone(503)])
    assert (len(reading.listings), reading.complete) == (ROWS, False)
    assert reading.notes == ("the rest could not be read: the site: no answer. wait.",)


def test_if_nothing_can_be_read_the_error_is_raised() -> None:
    with pytest.raises(SourceError, match="no answer"):
        talk(Crossref(query="the"), ONE_DAY, [gone()])


def test_a_search_that_never_ends_is_cut_and_said_to_be() -> None:
    reading, _ = talk(Crossref(query="the"), ONE_DAY, [full(1000 * n) for n in range(20)])
    assert (len(reading.listings), reading.complete) == (10_000, False)
    assert "more than the 10,000" in reading.notes[0]


def test_an_unchanged_answer_counts_as_read() -> None:
    reading, _ = talk(Crossref(query="the"), ONE_DAY, [None])
    assert (reading.listings, reading.complete) == ((), True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "a query, an issn or a filter"),
        ({"query": " ", "filter": ","}, "a query, an issn or a filter"),
        ({"issn": ["1234567X"]}, "'1234567X'"),
        ({"issn": "1234-567X"}, "must be a list"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Crossref(**options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "broken"),
        ("[]", "an error"),
        ('{"status": "ok", "message-type": "work-list"}', "an error"),
        ('{"status": "failed", "message": [{"message": "no such select"}]}', "no such select"),
        ('{"status": "error", "message": {"items": []}}', "an error"),
        ('{"status": "ok", "message": {"items": null}}', "no list of works"),
        ('{"status": "ok", "message": {"items": [1, {}]}}', "none of its 2 items"),
    ],
)
def test_what_is_no_list_of_works_is_an_error_and_never_an_empty_day(content: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        READER.read(page(content))


def test_a_single_work_can_be_saved_and_read_too() -> None:
    single = page({"status": "ok", "message-type": "work", "message": work(7)})
    assert READER.recognises(single)
    (listing,) = READER.read(single).listings
    assert listing.paper.id == "doi:10.5555/7"


@pytest.mark.parametrize(
    ("dates", "published"),
    [
        ({"posted": [[2026, 11, 3]], "created": [[2026, 11, 4]]}, date(2026, 11, 3)),
        # A year or a month does not beat a day within it, but does beat a later one.
        ({"published-print": [[2026]], "created": [[2026, 11, 4]]}, date(2026, 11, 4)),
        ({"published-print": [[2026, 12]], "created": [[2027, 1, 4]]}, date(2026, 12, 1)),
        ({"published-print": [[2019, "7"]], "created": [[2026, 11, 4]]}, date(2019, 7, 1)),
        ({"published-print": [[2019, None]], "created": [[2026, 11, 4]]}, date(2019, 1, 1)),
        ({"published-print": [[None]], "published-online": []}, None),
        ({"published-print": [[2026, 2, 30]], "posted": [[9999, 12]], "created": [[10**40]]}, None),
        ({"published-print": "2026", "created": [{"year": 2026}]}, None),
    ],
)
def test_a_paper_was_out_on_the_first_day_that_its_dates_allow(
    dates: dict[str, Any], published: date | None
) -> None:
    fields: dict[str, object] = {name: {"date-parts": parts} for name, parts in dates.items()}
    assert paper(**fields).published == published


def test_a_subtitle_that_says_no_more_is_left_out() -> None:
    assert paper(title=["Roots: A Study"], subtitle=["a study"]).title == "Roots: A Study"
    assert paper(title=["Roots"], subtitle=[]).title == "Roots"
    assert paper(title=["Roots"], subtitle=["A Study"]).title == "Roots: A Study"


def test_an_abstract_that_begins_with_the_word_keeps_it() -> None:
    text = "<jats:p>Abstract algebra is <jats:italic>fun</jats:italic>.</jats:p>"
    assert paper(abstract=text).abstract == "Abstract algebra is fun."


def test_spaces_without_end_are_read_in_a_time_that_grows_with_their_length() -> None:
    assert paper(abstract=" " * 300_000 + "x").abstract == "x"


def test_a_work_without_an_address_is_found_by_its_doi() -> None:
    assert paper(URL="ftp://example.org").url == "https://doi.org/10.5555/1"


@pytest.mark.parametrize("kind", ["has-preprint", "is-preprint-of"])
def test_what_is_no_identifier_relates_to_nothing(kind: str) -> None:
    related = [{"id": 7}, {"id": "roots"}, "10.5555/2", {"id-type": "arxiv", "id": "x"}, {"id": "10.5555/1"}]
    assert paper(relation={kind: related}).identifiers == ()


def test_notices_are_no_papers_but_new_versions_are() -> None:
    notices = [work(n, **{"update-to": [{"type": kind}]}) for n, kind in enumerate(("retraction", "erratum"))]
    version = work(3, **{"update-to": [{"type": "new_version"}]})
    reading = READER.read(page(answer(*notices, version, work(4, type="peer-review"))))
    assert [item.paper.title for item in reading.listings] == ["Work 3"]
    assert reading.notes == ()


def test_pages_of_others_are_not_recognised() -> None:
    for other in ("", "\0", "{}", '["message-type"]', '{"message-type": "member-list"}', '{"results": []}'):
        assert not READER.recognises(page(other))


DATE = st.fixed_dictionaries({"date-parts": st.lists(st.lists(st.integers() | JSON)) | JSON}) | JSON
RELATION = st.lists(st.fixed_dictionaries({}, optional={"id": st.text() | JSON, "id-type": JSON}) | JSON)
WORK = st.fixed_dictionaries(
    {
        "DOI": st.just("10.5555/1") | JSON,
        "title": st.lists(st.text() | JSON) | JSON,
        "type": st.just("journal-article") | JSON,
    },
    optional={
        "subtitle": st.lists(st.text()) | JSON,
        "author": st.lists(st.fixed_dictionaries({}, optional={"given": JSON, "name": JSON})) | JSON,
        "abstract": st.text() | JSON,
        "link": st.lists(st.fixed_dictionaries({"content-type": JSON, "URL": JSON})) | JSON,
        "relation": st.fixed_dictionaries({"has-preprint": RELATION}) | JSON,
        "update-to": JSON,
        "created": DATE,
        "published-print": DATE,
    },
)


@given(st.lists(WORK | JSON))
def test_works_of_any_kind_raise_nothing_but_a_source_error(works: list[object]) -> None:
    content = page(answer(*works))
    READER.recognises(content)
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(content))).encode()
