"""OpenAlex: what its pages hold, and how it is asked for what came out lately."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import JSON, ONE_DAY, TEN_DAYS, gone, page, parameters, talk

from digest.core.document import reading_document
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.openalex import OpenAlex, OpenAlexReader

READER = OpenAlexReader()


def work(number: int, **fields: object) -> dict[str, Any]:
    return {"id": f"https://openalex.org/W{number}", "title": f"Work {number}", "type": "article", **fields}


def answer(*works: object, following: str | None = None) -> dict[str, Any]:
    return {"meta": {"count": len(works), "next_cursor": following}, "results": list(works)}


def test_a_query_is_looked_for_in_titles_and_abstracts_of_the_last_weeks() -> None:
    source = OpenAlex(query=' "talking face", OR swin ', filter="primary_topic.field.id:17|18,")
    reading, (request,) = talk(source, ONE_DAY, [answer(work(1))])
    assert request.url.startswith("https://api.openalex.org/works?")
    asked = parameters(request.url)
    assert asked.pop("select").startswith("id,doi,")
    dates = "from_publication_date:2026-11-05,to_publication_date:2026-11-20"
    assert asked == {
        "search.title_and_abstract": '"talking face", OR swin',
        "filter": f"primary_topic.field.id:17|18,{dates}",
        "sort": "publication_date:desc",
        "per_page": "100",
        "cursor": "*",
    }
    assert (request.secrets, request.pace and request.pace.site) == ((), "openalex.org")
    assert [item.paper.id for item in reading.listings] == ["openalex:W1"]


def test_after_ten_days_off_all_of_them_are_asked_for() -> None:
    _, (request,) = talk(OpenAlex(filter="type:article"), TEN_DAYS, [answer()])
    assert (
        parameters(request.url)["filter"]
        == "type:article,from_publication_date:2026-10-27,to_publication_date:2026-11-20"
    )
    assert "search" not in request.url


def test_the_key_is_a_secret_and_in_no_address() -> None:
    source = OpenAlex(query="swin", key=lambda: "very-secret")
    _, requests = talk(source, ONE_DAY, [answer(work(1), following="x"), answer()])
    assert [request.secrets for request in requests] == [(("api_key", "very-secret"),)] * 2
    assert not any("very-secret" in repr(request) for request in requests)


@pytest.mark.parametrize("following", [None, ""])
def test_the_cursor_is_followed_until_there_is_none(following: str | None) -> None:
    answers = [answer(work(1), work(2), following="a+b/c="), answer(work(3), following=following)]
    reading, requests = talk(OpenAlex("oa", query="swin"), ONE_DAY, answers)
    assert requests[1].url.endswith("&cursor=a%2Bb%2Fc%3D")
    assert [(item.paper.title, item.position) for item in reading.listings] == [
        ("Work 1", 0),
        ("Work 2", 1),
        ("Work 3", 100),
    ]
    assert (reading.complete, reading.notes) == (True, ())


def test_an_empty_page_ends_it_too_because_some_cursors_never_do() -> None:
    reading, _ = talk(
        OpenAlex(query="swin"), ONE_DAY, [answer(work(1), following="x"), answer(following="y")]
    )
    assert (len(reading.listings), reading.complete) == (1, True)


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_not_complete() -> None:
    reading, _ = talk(OpenAlex(query="swin"), ONE_DAY, [answer(work(1), following="x"), gone(503)])
    assert [item.paper.id for item in reading.listings] == ["openalex:W1"]
    assert not reading.complete
    assert reading.notes == ("the rest could not be read: the site: no answer. wait.",)


def test_a_page_that_is_broken_midway_is_reported() -> None:
    reading, _ = talk(OpenAlex(query="swin"), ONE_DAY, [answer(work(1), following="x"), "{"])
    assert (len(reading.listings), reading.complete) == (1, False)


@pytest.mark.parametrize("status", [401, 403, 409, 429])
def test_who_is_turned_away_without_a_key_is_told_to_get_one(status: int) -> None:
    with pytest.raises(FetchError, match=r"openalex\.org/settings/api") as caught:
        talk(OpenAlex(query="swin"), ONE_DAY, [gone(status)])
    assert (caught.value.status, caught.value.transient) == (status, True)


def test_other_failures_and_those_with_a_key_are_left_as_they_are() -> None:
    for source, status in (
        (OpenAlex(query="swin"), 500),
        (OpenAlex(query="swin", key=lambda: "secret"), 429),
    ):
        with pytest.raises(FetchError, match=r"no answer\. wait"):
            talk(source, ONE_DAY, [gone(status)])


def test_a_search_that_never_ends_is_cut_and_said_to_be() -> None:
    answers = [answer(work(n), following=f"x{n}") for n in range(100)]
    reading, _ = talk(OpenAlex(query="the"), ONE_DAY, answers)
    assert (len(reading.listings), reading.complete) == (100, False)
    assert "more than the 10,000 newest" in reading.notes[0]


def test_an_unchanged_answer_counts_as_read() -> None:
    reading, _ = talk(OpenAlex(query="swin"), ONE_DAY, [None])
    assert (reading.listings, reading.complete) == ((), True)


@pytest.mark.parametrize("options", [{}, {"query": " "}, {"filter": ","}])
def test_a_source_that_asks_for_everything_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a query, a filter or both"):
        OpenAlex(**options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "broken"),
        ("[]", "no list of results"),
        ('{"results": {}}', "no list of results"),
        ('{"results": [1, {"id": "https://openalex.org/A1"}]}', "none of its 2 results"),
        ('{"error": "Invalid query parameters", "message": "no such filter"}', "no such filter"),
        ('{"error": "Rate limit exceeded"}', "Rate limit exceeded"),
    ],
)
def test_what_is_no_list_of_works_is_an_error_and_never_an_empty_day(content: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        READER.read(page(content))


def test_an_empty_answer_has_no_papers_and_no_notes() -> None:
    reading = READER.read(page(answer()))
    assert (reading.listings, reading.notes) == ((), ())


def test_a_single_work_can_be_saved_and_read_too() -> None:
    single = page(work(7, ids={"pmid": "https://pubmed.ncbi.nlm.nih.gov/90000001"}))
    assert READER.recognises(single)
    (listing,) = READER.read(single).listings
    assert (listing.paper.id, listing.paper.identifiers) == ("pmid:90000001", ("openalex:W7",))


def test_places_of_words_may_be_beyond_counting_or_of_the_wrong_kind() -> None:
    index = {"last": [10**300], "first": [-1, "0", None], "middle": [5], "never": 3}
    (listing,) = READER.read(page(answer(work(1, abstract_inverted_index=index)))).listings
    assert listing.paper.abstract == "first middle last"


def test_only_the_first_word_of_an_abstract_can_be_its_heading() -> None:
    for words, text in (("ABSTRACT: We see", "We see"), ("An Abstract We see", "An Abstract We see")):
        index = {word: [place] for place, word in enumerate(words.split())}
        (listing,) = READER.read(page(answer(work(1, abstract_inverted_index=index)))).listings
        assert listing.paper.abstract == text


@pytest.mark.parametrize(
    ("location", "number"),
    [
        ({"landing_page_url": "https://arxiv.org/abs/2611.90001"}, "arxiv:2611.90001"),
        (
            {"landing_page_url": None, "pdf_url": "http://export.arxiv.org/pdf/hep-th/0408048v1"},
            "arxiv:hep-th/0408048",
        ),
        ({"landing_page_url": "https://example.org/abs/2611.90001"}, None),
        ({"landing_page_url": "https://arxiv.org/help", "pdf_url": "http://["}, None),
    ],
)
def test_the_number_of_arxiv_is_taken_from_addresses_of_arxiv_alone(
    location: dict[str, Any], number: str | None
) -> None:
    (listing,) = READER.read(page(answer(work(1, locations=[location])))).listings
    assert listing.paper.id == (number or "openalex:W1")


def test_pages_of_others_are_not_recognised() -> None:
    for other in ("", "\0", "{}", '[{"id": "https://openalex.org/W1"}]', '{"id": "https://openalex.org/A1"}'):
        assert not READER.recognises(page(other))
    assert not READER.recognises(page('{"message-type": "work", "URL": "https://openalex.org/W1"}'))


LOCATION = st.fixed_dictionaries({}, optional={"landing_page_url": JSON, "pdf_url": JSON})
WORK = st.fixed_dictionaries(
    {"id": st.just("https://openalex.org/W1") | JSON},
    optional={
        "title": st.text() | JSON,
        "ids": JSON,
        "doi": JSON,
        "type": JSON,
        "is_retracted": JSON,
        "publication_date": st.text() | JSON,
        "authorships": st.lists(st.fixed_dictionaries({"author": JSON})) | JSON,
        "keywords": JSON,
        "abstract_inverted_index": st.dictionaries(st.text(), st.lists(st.integers())) | JSON,
        "primary_location": LOCATION | JSON,
        "locations": st.lists(LOCATION) | JSON,
    },
)


@given(st.lists(WORK | JSON))
def test_works_of_any_kind_raise_nothing_but_a_source_error(works: list[object]) -> None:
    content = page({"meta": {}, "results": works})
    READER.recognises(content)
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(content))).encode()
