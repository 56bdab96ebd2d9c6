"""bioRxiv and medRxiv, whose API answers with versions."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import JSON, NOW, Answer, at, converse, gone, page

from digest.core.document import reading_document
from digest.core.model import Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.biorxiv import BioRxiv, BioRxivReader, MedRxiv

READER = BioRxivReader()
Row = dict[str, Any]


def row(number: int, day: str = "2026-11-18", **values: object) -> Row:
    return {
        "doi": f"10.64898/2026.11.01.{number:06}",
        "title": f"Invented preprint {number}",
        "authors": "Nobody, N.",
        "date": day,
        "version": "1",
        "type": "new results",
        "category": "ecology",
        "abstract": "",
        "published": "NA",
        "server": "bioRxiv",
    } | values


def answer(
    rows: list[Row], total: object = None, *, status: str = "ok", category: str = "all"
) -> dict[str, Any]:
    said = {"status": status, "category": category, "count": len(rows), "total": total}
    return {"messages": [said], "collection": rows}


@dataclass
class Site:
    """The API, with rows that lie in days, on pages of 30 rows."""

    rows: list[Row]
    categories: tuple[str, ...] = ("ecology", "cell biology")
    per_page: int = 30
    total: Callable[[int], object] = str
    broken: dict[int, Answer] = field(default_factory=dict)  # by cursor; None: unchanged
    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        parts = urlsplit(request.url)
        since, until, cursor, form = parts.path.split("/")[3:]
        assert form == "json"
        if int(cursor) in self.broken:
            return self.broken[int(cursor)]
        category = parse_qs(parts.query).get("category", ["all"])[0].replace("_", " ")
        category = category if category in self.categories else "all"
        found = [item for item in self.rows if since <= item["date"] <= until]
        found = [item for item in found if category in ("all", item["category"])]
        shown = found[int(cursor) :][: self.per_page]
        if not shown:
            return {"messages": [{"status": "no posts found"}], "collection": []}
        return answer(shown, self.total(len(found)), category=category)


def collected(source: BioRxiv, site: Site, since: str = "2026-11-19", until: datetime = NOW) -> Reading:
    return converse(source, Period(at(since), until), site.answer)[0]


def cursors(site: Site) -> list[int]:
    return [int(request.url.split("/")[7]) for request in site.asked]


def numbers(reading: Reading) -> list[int]:
    return [int(listing.paper.id[-6:]) for listing in reading.listings]


# --- the reader -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "broken or cut short"),
        (b"Error : (2002) Connection refused", "broken or cut short"),
        (b'{"messages":[{"status":"ok"}],"collection":[{', "broken or cut short"),
        (b"[" * 100_000, "broken or cut short"),
        ([], "no answer of the API"),
        ({"collection": [row(1)]}, "no answer of the API"),
        ({"messages": ["ok"], "collection": []}, "no answer of the API"),
        ({"messages": [{"status": "Server not recognized"}], "collection": []}, "Server not recognized"),
        (answer([row(1)], status="no posts found"), "no posts found"),
        ({"messages": [{"status": "ok", "count": 30, "total": "522"}], "collection": []}, "30 rows and"),
        (answer([row(1, doi=None), row(2, title=" ")]), "none of 2 rows"),
    ],
)
def test_an_answer_that_is_broken_or_an_error_is_never_taken_for_no_papers(value: object, words: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(words)) as caught:
        READER.read(page(value, "https://api.biorxiv.org/details/biorxiv/x"))
    assert caught.value.place == "https://api.biorxiv.org/details/biorxiv/x"
    assert caught.value.remedy


def test_answers_of_the_api_are_recognised_and_those_of_others_are_not() -> None:
    assert READER.recognises(page(b"", "https://api.medrxiv.org/details/medrxiv/5"))
    assert READER.recognises(page(answer([row(1)]), "file:///saved/page.json"))
    for other in (b"", b"[]", b'{"messages": [1]}', b'<p>"messages": ["collection": [', b'{"data": []}'):
        assert not READER.recognises(page(other, "https://example.org/"))
    assert READER.recognises(page(answer([]), "http://["))


def test_a_version_without_number_is_taken_for_the_first_and_one_without_date_has_none() -> None:
    (listing,) = READER.read(page(answer([row(1, version=None, date="soon")]))).listings
    assert (listing.announce_type, listing.listed_on, listing.paper.published) == ("new", None, None)
    assert listing.paper.url == "https://www.biorxiv.org/content/10.64898/2026.11.01.000001v1"


def test_greek_letters_that_the_site_spells_out_are_written_as_letters() -> None:
    (listing,) = READER.read(page(answer([row(1, title="{Delta}F508, {lambda} and {Noise}")]))).listings
    assert listing.paper.title == "ΔF508, λ and {Noise}"


def test_an_article_that_has_the_preprints_own_number_adds_none() -> None:
    (listing,) = READER.read(page(answer([row(1, published="10.64898/2026.11.01.000001")]))).listings
    assert listing.paper.identifiers == ()


def test_figures_that_are_never_closed_are_read_in_a_time_that_grows_with_their_number() -> None:
    (listing,) = READER.read(page(answer([row(1, abstract="O_FIG " * 100_000)]))).listings
    assert listing.paper.abstract.startswith("O_FIG O_FIG")


ROWS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON
        | st.sampled_from(["10.64898/2026.11.01.000001", "2026-11-18", "2", "withdrawn", "{beta}", "A, B;"])
        for name in row(1)
    },
)


@given(
    st.fixed_dictionaries(
        {
            "messages": JSON
            | st.lists(st.fixed_dictionaries({"status": JSON | st.just("ok"), "count": JSON})),
            "collection": JSON | st.lists(JSON | ROWS),
        }
    )
)
def test_whatever_the_values_are_nothing_but_a_source_error_is_raised(value: object) -> None:
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(page(value))))


# --- the conversation -------------------------------------------------------------------------


def test_the_first_run_asks_for_the_days_of_the_period_and_two_before_it() -> None:
    site = Site([row(1, "2026-11-16"), row(2, "2026-11-17"), row(3, "2026-11-20")])
    reading = collected(BioRxiv(), site)
    assert [request.url for request in site.asked] == [
        "https://api.biorxiv.org/details/biorxiv/2026-11-17/2026-11-20/0/json"
    ]
    assert numbers(reading) == [2, 3]
    assert (reading.layout, reading.complete, reading.notes) == ("details", True, ())
    assert {request.pace and request.pace.site for request in site.asked} == {"biorxiv.org"}


def test_days_are_counted_in_utc() -> None:
    site = Site([])
    collected(BioRxiv(), site, until=datetime.fromisoformat("2026-11-21T03:00+09:00"))
    assert "/2026-11-17/2026-11-20/" in site.asked[0].url


def test_ten_days_off_are_read_to_the_last_page() -> None:
    rows = [row(n, f"2026-11-{9 + n % 12:02}") for n in range(100)]
    site = Site(rows)
    reading = collected(BioRxiv(), site, since="2026-11-10")
    assert cursors(site) == [0, 30, 60, 90]
    assert sorted(numbers(reading)) == list(range(100))
    assert [listing.position for listing in reading.listings] == list(range(100))


def test_a_total_that_is_a_number_or_missing_or_too_high_ends_the_reading_all_the_same() -> None:
    rows = [row(n) for n in range(60)]
    totals: list[tuple[Callable[[int], object], list[int]]] = [
        (int, [0, 30]),
        (lambda _: None, [0, 30, 60]),
        (lambda count: str(count + 31), [0, 30, 60]),  # github.com/ropensci/medrxivr, issue 19
    ]
    for total, wanted in totals:
        site = Site(rows, total=total)
        reading = collected(BioRxiv(), site)
        assert (cursors(site), len(reading.listings), reading.complete) == (wanted, 60, True)


def test_pages_of_100_are_followed_as_well() -> None:
    site = Site([row(n) for n in range(250)], per_page=100)
    assert len(collected(BioRxiv(), site).listings) == 250
    assert cursors(site) == [0, 100, 200]


def test_no_posts_are_no_papers_and_no_error() -> None:
    reading = collected(BioRxiv(), Site([]))
    assert (reading.listings, reading.complete, reading.layout) == ((), True, "details")


def test_versions_on_different_pages_are_one_paper() -> None:
    first = row(0, "2026-11-17", title="Before")
    later = row(0, "2026-11-19", title="After", version="2")
    site = Site([first, *(row(n) for n in range(1, 40)), later])
    reading = collected(BioRxiv(), site)
    assert len(reading.listings) == 40
    listing = reading.listings[0]
    assert (listing.paper.title, listing.announce_type) == ("After", "new")
    assert (listing.paper.published, listing.paper.updated) == (date(2026, 11, 17), date(2026, 11, 19))


def test_later_versions_of_older_papers_are_shown_only_on_request() -> None:
    rows = [row(1), row(2, version="3"), row(3, version="2", type="withdrawn")]
    assert numbers(collected(BioRxiv(), Site(rows))) == [1]
    reading = collected(BioRxiv(revisions=True), Site(rows))
    assert [(item.announce_type, item.listed_on) for item in reading.listings] == [
        ("new", date(2026, 11, 18)),
        ("replace", date(2026, 11, 18)),
    ]
    assert reading.listings[1].paper.published is None


def test_a_paper_keeps_the_day_of_its_posting_when_a_second_version_comes() -> None:
    rows = [row(1, "2026-11-18")]
    before = collected(BioRxiv(), Site(rows))
    after = collected(BioRxiv(), Site([*rows, row(1, "2026-11-20", version="2")]))
    assert [item.listed_on for item in (*before.listings, *after.listings)] == [date(2026, 11, 18)] * 2


def test_one_category_is_asked_of_the_site() -> None:
    site = Site([row(1), row(2, category="cell biology")])
    reading = collected(BioRxiv(categories=["Cell  Biology"]), site)
    assert [request.url for request in site.asked] == [
        "https://api.biorxiv.org/details/biorxiv/2026-11-17/2026-11-20/0/json?category=cell_biology"
    ]
    assert numbers(reading) == [2]


def test_several_categories_are_picked_from_all_rows() -> None:
    site = Site([row(1), row(2, category="Cell Biology"), row(3, category="zoology"), row(4, category=None)])
    reading = collected(BioRxiv(categories=["cell_biology", "ECOLOGY"]), site)
    assert "category" not in site.asked[0].url
    assert numbers(reading) == [1, 2]


def test_a_category_that_the_site_does_not_know_is_an_error_and_not_everything() -> None:
    site = Site([row(n) for n in range(60)])
    with pytest.raises(LayoutError, match=r"no category 'cel biology'.*biorxiv\.org does"):
        collected(BioRxiv(categories=["cel biology"]), site)
    assert len(site.asked) == 1


def test_categories_of_which_nothing_is_found_are_doubted() -> None:
    reading = collected(BioRxiv(categories=["alchemy", "astrology"]), Site([row(1)]))
    assert reading.listings == ()
    assert "'alchemy', 'astrology'" in reading.notes[0]
    assert collected(BioRxiv(categories=["alchemy", "astrology"]), Site([])).notes == ()


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_incomplete() -> None:
    faults: tuple[Answer, ...] = (gone(503), {"messages": []})
    for fault in faults:
        site = Site([row(n) for n in range(70)], broken={30: fault})
        reading = collected(BioRxiv(), site)
        assert numbers(reading) == list(range(30))
        assert not reading.complete
        assert reading.notes[0].startswith("what was posted from 2026-11-17 to 2026-11-20 could not be read")


def test_if_nothing_can_be_read_the_error_is_raised() -> None:
    with pytest.raises(FetchError, match="no answer") as caught:
        collected(BioRxiv(), Site([], broken={0: gone(429)}))
    assert caught.value.status == 429


def test_an_unchanged_answer_counts_as_read() -> None:
    site = Site([row(n) for n in range(70)], broken={0: None})
    reading = collected(BioRxiv(), site)
    assert (reading.listings, reading.complete, cursors(site)) == ((), True, [0])


def test_an_interval_without_end_is_given_up_and_said_to_be_incomplete() -> None:
    site = Site([row(n) for n in range(500)], per_page=1)
    reading = collected(BioRxiv(), site)
    assert (len(site.asked), len(reading.listings), reading.complete) == (400, 400, False)
    assert "more than 400 versions" in reading.notes[0]


def test_a_row_that_is_no_paper_is_named_once() -> None:
    reading = collected(BioRxiv(), Site([row(1), row(2, title=None)]))
    assert reading.notes == ("1 of 2 rows have no title or DOI and are left out",)


def test_medrxiv_is_asked_under_its_own_name() -> None:
    source = MedRxiv(categories=["neurology"])
    site = Site([row(1, server="medRxiv", category="neurology")], categories=("neurology",))
    (listing,) = collected(source, site).listings
    assert source.name == "medrxiv"
    assert "/details/medrxiv/" in site.asked[0].url
    assert listing.paper.url == "https://www.medrxiv.org/content/10.64898/2026.11.01.000001v1"


def test_a_category_without_name_is_refused() -> None:
    with pytest.raises(ValueError, match="empty name"):
        BioRxiv(categories=["ecology", " _"])
