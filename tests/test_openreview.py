"""OpenReview, where papers become visible long after they were submitted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import NOW, ONE_DAY, Answer, converse, page, parameters

from digest.core.document import reading_document
from digest.core.model import Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.openreview import OpenReview, OpenReviewReader

DAY = timedelta(days=1)
READER = OpenReviewReader()
VENUE = "Teapots.example/2026/Conference"
INVITATION = f"{VENUE}/-/Submission"
Note = dict[str, Any]


def ms(days_ago: float) -> int:
    return int((NOW - days_ago * DAY).timestamp() * 1000)


def note(number: int, *, submitted: float, changed: float | None = None, **values: object) -> Note:
    """A submission, with its dates in days before now."""
    forum = f"forum{number:05}"
    return {
        "id": forum,
        "forum": forum,
        "tcdate": ms(submitted),
        "tmdate": ms(submitted if changed is None else changed),
        "content": {"title": {"value": f"Invented submission {number}"}},
    } | values


@dataclass
class Site:
    """The API, with notes by invitation and for the search, which may keep no order."""

    notes: dict[str, list[Note]]
    ordered: bool = True
    counted: Callable[[int], int | None] = lambda count: min(count, 10_000)
    broken: dict[int, Answer] = field(default_factory=dict)  # by offset; None: unchanged
    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        query = parameters(request.url)
        offset, limit = int(query["offset"]), int(query["limit"])
        if offset in self.broken:
            return self.broken[offset]
        assert query["sort"] == "tmdate:desc"  # `cdate` is answered by 400 since September 2026
        found = self.notes.get(query.get("invitation") or query["term"], [])
        if self.ordered:
            found = sorted(found, key=lambda item: int(item["tmdate"]), reverse=True)
        value: dict[str, Any] = {"notes": found[offset:][: min(limit, 1000)]}
        if (count := self.counted(len(found))) is not None:
            value["count"] = count
        return value


def collected(source: OpenReview, site: Site, *, days: float = 1) -> Reading:
    return converse(source, Period(NOW - days * DAY, NOW), site.answer)[0]


def numbers(reading: Reading) -> list[int]:
    return [int(listing.paper.id[-5:]) for listing in reading.listings]


def refused(status: int) -> FetchError:
    return FetchError(f"the site answers {status}", place="https://api2.openreview.net", status=status)


# --- the reader -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "broken or cut short"),
        (b"<html>Just a moment", "broken or cut short"),
        ([], "no answer of the API"),
        ({"notes": {}}, "no answer of the API"),
        (
            {"name": "ChallengeRequiredError", "message": "Challenge verification required", "status": 403},
            "Challenge verification required",
        ),
        ({"notes": [{"id": "abcdef"}, 5]}, "2 of 2 submissions have no title"),
    ],
)
def test_an_answer_that_is_broken_or_an_error_is_never_taken_for_no_papers(value: object, words: str) -> None:
    with pytest.raises(LayoutError, match=words) as caught:
        READER.read(page(value, "https://api2.openreview.net/notes?x"))
    assert caught.value.place == "https://api2.openreview.net/notes?x"
    assert caught.value.remedy


def test_no_notes_and_replies_alone_are_no_papers_and_no_error() -> None:
    reply = note(1, submitted=1, forum="forum00002", replyto="forum00002")
    for notes in ([], [reply]):
        assert READER.read(page({"notes": notes, "count": 0})).listings == ()


def test_answers_of_the_api_are_recognised_and_those_of_others_are_not() -> None:
    assert READER.recognises(page(b"", "https://api.openreview.net/notes?invitation=x"))
    assert READER.recognises(page({"notes": [note(1, submitted=1)]}, "file:///saved/page.json"))
    for other in (b"", b"[]", b'{"notes": [], "papers": []}', b'{"notes": ["a doubt"], "count": 1}'):
        assert not READER.recognises(page(other, "https://example.org/"))
    assert READER.recognises(page({"notes": [], "count": 0}, "http://["))


def test_dates_that_are_none_are_left_out() -> None:
    values: tuple[object, ...] = (10**30, 10**400, 10**16, -1, 1.5, True, "soon", {})
    for hostile in values:
        value = note(1, submitted=1, pdate=hostile, odate=hostile, cdate=hostile, tmdate=hostile)
        (listing,) = READER.read(page({"notes": [value]})).listings
        assert (listing.paper.published, listing.paper.updated) == (None, None)


def test_an_address_that_cannot_be_parsed_is_dropped() -> None:
    content = {"title": {"value": "x"}, "pdf": {"value": "//["}, "html": {"value": "http://["}}
    (listing,) = READER.read(page({"notes": [note(1, submitted=1, content=content)]})).listings
    assert (listing.paper.pdf_url, listing.paper.doi) == (None, None)


def test_a_note_without_number_is_known_by_its_title() -> None:
    (listing,) = READER.read(page({"notes": [{"content": {"title": "x"}}]})).listings
    assert listing.paper.id.startswith("title:")
    assert listing.paper.url is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("value"), inner, max_size=3)
    ),
    max_leaves=5,
)
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        name: VALUES | st.fixed_dictionaries({"value": VALUES})
        for name in ("title", "abstract", "authors", "keywords", "pdf", "html")
    },
)
NAMES = ("id", "forum", "replyto", "tcdate", "cdate", "odate", "pdate", "tmdate", "externalIds")
NOTES = st.fixed_dictionaries(
    {},
    optional={**dict.fromkeys(NAMES, VALUES), "content": VALUES | CONTENT},
)


@given(
    st.fixed_dictionaries({"notes": VALUES | st.lists(VALUES | NOTES)}, optional={"count": VALUES}),
    st.sampled_from([OpenReview(venues=[VENUE]), OpenReview(query="kettles")]),
)
def test_whatever_the_values_are_nothing_but_a_source_error_is_raised(
    value: dict[str, Any], source: OpenReview
) -> None:
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(page(value))))
    with contextlib.suppress(SourceError):
        converse(source, ONE_DAY, lambda _: value)


# --- the conversation -------------------------------------------------------------------------


def test_submissions_are_new_on_the_day_they_become_visible_however_long_ago_they_were_made() -> None:
    made = note(1, submitted=40, changed=0.5, odate=ms(0.5))
    known = note(2, submitted=40, changed=0.5, odate=ms(30))  # a review was added, say
    accepted = note(3, submitted=90, changed=0.5, odate=ms(80), pdate=ms(0.5))
    site = Site({INVITATION: [made, known, accepted, note(4, submitted=0.5), note(5, submitted=50)]})
    reading = collected(OpenReview(venues=[VENUE]), site)
    assert sorted(numbers(reading)) == [1, 3, 4]
    assert [listing.position for listing in reading.listings] == [0, 1, 2]
    assert (reading.layout, reading.complete, reading.notes) == ("notes", True, ())


def test_a_venue_is_asked_for_its_submissions_the_last_changed_first() -> None:
    site = Site({})
    collected(OpenReview(venues=[f" {VENUE}/ "]), site)
    (request,) = site.asked
    assert request.url == (
        "https://api2.openreview.net/notes?invitation=Teapots.example%2F2026%2FConference%2F-%2FSubmission"
        "&sort=tmdate:desc&limit=1000&offset=0"
    )
    assert request.headers == ()
    assert request.pace is not None


def test_a_search_is_asked_for_papers_alone() -> None:
    site = Site({"graph kettles & more": [note(1, submitted=0.5)]})
    reading = collected(OpenReview(query=" graph kettles & more "), site)
    assert site.asked[0].url == (
        "https://api2.openreview.net/notes/search?term=graph%20kettles%20%26%20more&type=terms&content=all"
        "&group=all&source=forum&sort=tmdate:desc&limit=1000&offset=0"
    )
    assert numbers(reading) == [1]


def test_an_old_paper_that_somebody_adds_to_the_site_is_not_new() -> None:
    old = note(1, submitted=0.5, pdate=ms(2000))
    by_year_alone = note(2, submitted=0.5, pdate=ms(323))  # the 1st of January
    site = Site({"kettles": [old, by_year_alone]})
    assert numbers(collected(OpenReview(query="kettles"), site)) == [2]


def test_ten_days_off_are_read_to_what_changed_before_and_no_further() -> None:
    notes = [note(n, submitted=n / 250) for n in range(5000)]  # 250 a day
    site = Site({INVITATION: notes})
    reading = collected(OpenReview(venues=[VENUE]), site, days=10)
    assert len(site.asked) == 3
    assert numbers(reading) == list(range(2751))  # with the day of overlap
    assert [listing.position for listing in reading.listings] == list(range(2751))
    assert reading.complete


def test_pages_are_followed_to_the_end_with_a_count_and_without() -> None:
    notes = [note(n, submitted=0.1) for n in range(2000)]
    counts: list[tuple[Callable[[int], int | None], int]] = [(lambda count: count, 2), (lambda _: None, 3)]
    for counted, pages in counts:
        site = Site({INVITATION: notes}, counted=counted)
        reading = collected(OpenReview(venues=[VENUE]), site)
        assert (len(reading.listings), len(site.asked), reading.complete) == (2000, pages, True)


def test_a_conference_that_opens_on_one_day_is_read_beyond_where_the_count_ends() -> None:
    site = Site({INVITATION: [note(n, submitted=40, changed=0.1, odate=ms(0.1)) for n in range(12_500)]})
    reading = collected(OpenReview(venues=[VENUE]), site)
    assert (len(reading.listings), reading.complete) == (12_500, True)


def test_a_search_that_keeps_no_order_is_read_to_its_end() -> None:
    notes = [note(n, submitted=n * 37 % 2500) for n in range(2500)]
    assert len(collected(OpenReview(query="kettles"), Site({"kettles": notes})).listings) == 3
    site = Site({"kettles": notes}, ordered=False)
    reading = collected(OpenReview(query="kettles"), site)
    assert (len(site.asked), len(reading.listings), reading.complete) == (3, 3, True)


def test_a_search_that_finds_more_than_can_be_read_is_incomplete_and_says_so() -> None:
    site = Site({"kettles": [note(n, submitted=n * 37 % 9999) for n in range(10_500)]}, ordered=False)
    reading = collected(OpenReview(query="kettles"), site)
    assert (len(site.asked), reading.complete) == (10, False)
    assert "more than 10,000 notes. Ask for something narrower." in reading.notes[0]


def test_the_token_goes_into_a_header_and_nowhere_else() -> None:
    site = Site({INVITATION: [note(1, submitted=0.5)]})
    reading = collected(OpenReview(venues=[VENUE], token=lambda: "sesame"), site)
    (request,) = site.asked
    assert request.headers == (("Authorization", "Bearer sesame"),)
    assert "sesame" not in f"{request} {request.url} {reading}"


def test_a_site_that_asks_for_a_human_is_reported_with_what_to_do() -> None:
    with pytest.raises(FetchError, match=r"403.*give the source a `token`") as caught:
        collected(OpenReview(venues=[VENUE]), Site({}, broken={0: refused(403)}))
    assert caught.value.status == 403
    with pytest.raises(FetchError, match=r"429$"):
        collected(OpenReview(venues=[VENUE]), Site({}, broken={0: refused(429)}))


def test_a_venue_that_fails_loses_no_other_and_what_was_read_of_it_is_kept() -> None:
    notes = [note(n, submitted=0.1) for n in range(1500)]
    site = Site({INVITATION: notes, "Cups.example/-/Submission": notes[:10]}, broken={1000: refused(429)})
    reading = collected(OpenReview(venues=[VENUE, "Cups.example"]), site)
    assert (len(reading.listings), reading.complete, len(site.asked)) == (1000, False, 3)
    assert reading.notes == (f"{VENUE} could not be read: https://api2.openreview.net: the site answers 429",)


def test_an_unchanged_answer_counts_as_read_and_the_next_one_is_asked_for() -> None:
    reading = collected(OpenReview(venues=[VENUE]), Site({}, broken={0: None}))
    assert (reading.listings, reading.complete) == ((), True)
    notes = [note(n, submitted=n % 100) for n in range(1100)]
    reading = collected(
        OpenReview(query="kettles"), Site({"kettles": notes}, ordered=False, broken={0: None})
    )
    assert (numbers(reading), reading.complete) == ([1000, 1001, 1002], True)


def test_a_doubt_is_passed_on_with_its_venue() -> None:
    nameless = note(2, submitted=0.5, content={})
    reading = collected(OpenReview(venues=[VENUE]), Site({INVITATION: [note(1, submitted=0.5), nameless]}))
    assert reading.notes == (f"{VENUE}: 1 of 2 submissions have no title and are left out",)


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "nothing to read"), ({"venues": [" / "]}, "empty id"), ({"query": " "}, "query is empty")],
)
def test_a_setting_that_means_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OpenReview(**options)
