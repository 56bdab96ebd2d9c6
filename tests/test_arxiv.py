"""arXiv, in every form it comes in, and in conversations over days, weekends and weeks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from documents import DATA, read, saved
from hypothesis import given
from hypothesis import strategies as st
from sites import NOW, Answer, at, converse, page, parameters, period

from digest.core.model import Pace, Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.arxiv import ArXiv, ArXivReader
from digest.sources.arxiv.announcements import announced_on, between, last_due

PAGES = DATA / "arxiv"
READER = ArXivReader()
DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# --- the reader -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.iterdir() if path.suffix != ".json"))
def test_saved_pages_are_known_without_their_address(name: str) -> None:
    assert READER.recognises(saved(PAGES / name))


@pytest.mark.parametrize("url", ["https://arxiv.org/abs/2611.00001", "https://export.arxiv.org/api/query"])
def test_pages_of_arxiv_are_known_by_their_address(url: str) -> None:
    assert READER.recognises(page("anything", url))


@pytest.mark.parametrize(
    ("content", "url"),
    [
        ("", "https://arxiv.org/list/cs.CV/new"),
        ("anything", "https://notarxiv.org/"),
        ("anything", "https://[arxiv.org/"),
        ("list-title mathjax", "file:///a"),
        ("<html>https://arxiv.org/abs/2611.00001</html>", "file:///a"),
        ("<rss><channel><title>Blog</title><item><link>https://arxiv.org/abs/2611.1</link>", "file:///a"),
        ("<!-- <id>http://arxiv.org/api/x</id> --><feed><id>tag:example.org</id></feed>", "file:///a"),
        ("<record><metadata><identifier>oai:arXiv.org:2611.00001</identifier>", "file:///a"),
    ],
)
def test_pages_of_others_are_left_to_others(content: str, url: str) -> None:
    assert not READER.recognises(page(content, url))


ATOM = 'xmlns="http://www.w3.org/2005/Atom"'
SEARCH = 'xmlns:o="http://a9.com/-/spec/opensearch/1.1/"'
OAI = 'xmlns="http://www.openarchives.org/OAI/2.0/"'
BAD = "<title>Error</title><summary>start must be an integer</summary></entry></feed>"
DEEP = "<div>" * 150 + "</div>" * 150


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<html><h1>arXiv</h1><p>We are down for maintenance.</p></html>", "neither entries"),
        ("<html><h3>Showing new listings for Friday, 20 November 2026</h3></html>", "neither entries"),
        ("<h3>New submissions (showing 4 of 4 entries)</h3><ul><li>2611.1</li></ul>", "none of its 4"),
        ("<dl><dt>[1]</dt><dd>a title</dd></dl>", "none of its 1"),
        (f"<html>{DEEP}</html>", "nested more than 100"),
        ("<?xml version='1.0'?><rss><channel><title>cs.CV updates", "broken or cut short"),
        ("<rss><nothing/></rss>", "has no channel"),
        ("<rss><channel><title>Feed error for query: cs.XX</title></channel></rss>", "Feed error for query"),
        (f"<feed {ATOM}><title>Feed error for query: cs.XX</title></feed>", "Feed error for query"),
        ("<rss><channel><item><title>No number</title></item></channel></rss>", "none of its 1 items"),
        (
            f"<feed {ATOM}><id>http://arxiv.org/api/1</id><entry><id>http://arxiv.org/api/errors#1</id>{BAD}",
            "start must be an integer",
        ),
        (
            f"<feed {ATOM} {SEARCH}><o:totalResults/><entry><title>Error</title></entry></feed>",
            "does not say which",
        ),
        (f"<feed {ATOM}><id>http://arxiv.org/api/1</id></feed>", "how many results"),
        (
            f"<feed {ATOM} {SEARCH}><o:totalResults>9</o:totalResults></feed>",
            "came empty, though there are 9",
        ),
        (
            f"<feed {ATOM} {SEARCH}><o:totalResults>1</o:totalResults><entry/></feed>",
            "none of its 1 entries",
        ),
        (f"<OAI-PMH {OAI}><error code='badResumptionToken'/></OAI-PMH>", "badResumptionToken"),
        (f"<OAI-PMH {OAI}><Identify/></OAI-PMH>", "neither a record nor an error"),
        (f"<OAI-PMH {OAI}><GetRecord><record/></GetRecord></OAI-PMH>", "none of its 1 records"),
        ("<?xml version='1.0'?><urlset/>", "<urlset> is no form"),
    ],
)
def test_a_page_that_is_broken_or_an_error_is_never_a_day_without_papers(content: str, said: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(said)) as caught:
        READER.read(page(content, "https://arxiv.org/x"))
    assert caught.value.place == "https://arxiv.org/x"


def test_the_day_that_a_person_gives_wins_over_the_page() -> None:
    day = date(2026, 1, 2)
    for name in ("listing-new.html", "feed.rss", "api.xml", "oai.xml"):
        assert READER.read(saved(PAGES / name), captured_on=day).captured_on == day


def test_a_list_of_deleted_records_alone_is_a_good_page() -> None:
    record = "<record><header status='deleted'><identifier>oai:arXiv.org:1</identifier></header></record>"
    reading = READER.read(page(f"<OAI-PMH {OAI}><ListRecords>{record}</ListRecords></OAI-PMH>"))
    assert (reading.listings, reading.complete) == ((), True)


@pytest.mark.parametrize(
    "value", ["Thu, 99 Nov 2026 00:00:00 -0500", "2026-99-99", "Mon, 1 Jan 2026 00:00:00 -9999999999"]
)
def test_a_date_that_is_none_counts_as_absent(value: str) -> None:
    item = f"<item><title>A</title><guid>oai:arXiv.org:2611.00001v1</guid><pubDate>{value}</pubDate></item>"
    (found,) = READER.read(page(f"<rss><channel>{item}</channel></rss>")).listings
    assert found.listed_on is None
    feed = f"<feed {ATOM}><title>cs</title><updated>{value}</updated></feed>"
    assert READER.read(page(feed)).captured_on is None
    entry = f"<entry><id>abs/2611.00001</id><title>A</title><published>{value}</published></entry>"
    answer = f"<feed {ATOM} {SEARCH}><o:totalResults>1</o:totalResults>{entry}</feed>"
    assert READER.read(page(answer)).listings[0].paper.published is None


def test_times_without_a_zone_are_no_instants() -> None:
    feed = f"<feed {ATOM}><title>cs</title><updated>2026-11-20T01:00:00</updated></feed>"
    assert READER.read(page(feed)).captured_on is None


def test_the_body_of_an_entry_without_its_number_is_no_paper() -> None:
    day = date(2026, 11, 20)
    content = listing(day, [("new", [Submission("2611.20001", NOW, day)])]).replace("<dt>", "<dd>x</dd><dt>")
    assert len(READER.read(page(content)).listings) == 1


def test_a_record_whose_id_is_none_is_left_out() -> None:
    record = "<record><metadata><arXiv><id>none</id><created>2026-11-20</created></arXiv></metadata></record>"
    content = (
        (PAGES / "oai.xml").read_text(encoding="utf-8").replace("<ListRecords>", f"<ListRecords>{record}")
    )
    assert READER.read(page(content)).notes[0].startswith("2 of 4 entries have no title or no number")


def test_a_month_that_is_none_is_no_date() -> None:
    heading = "<h3>Showing new listings for Friday, 20 Nowember 2026</h3><p>No updates today.</p>"
    assert READER.read(page(heading)).captured_on is None


def test_the_truncated_feed_of_a_real_day_is_an_error(shared: Path) -> None:
    with pytest.raises(SourceError, match="cut short"):
        read(shared / "fixtures/arxiv_rss/TRUNCATED_rss_cs.AI_2025-09-18.xml")


# --- the calendar -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("submitted", "announced"),
    [
        ("2026-11-16T18:59:59", "2026-11-17"),  # Monday 13:59:59 EST: Monday evening, dated Tuesday
        ("2026-11-16T19:00:00", "2026-11-18"),
        ("2026-11-19T12:00:00", "2026-11-20"),
        ("2026-11-19T20:00:00", "2026-11-23"),  # Thursday after 14:00: Sunday evening, dated Monday
        ("2026-11-20T18:00:00", "2026-11-23"),
        ("2026-11-20T19:00:00", "2026-11-24"),  # Friday after 14:00: Monday evening
        ("2026-11-22T12:00:00", "2026-11-24"),
        ("2026-07-13T17:59:59", "2026-07-14"),  # in summer the deadline is an hour earlier in UTC
        ("2026-07-13T18:00:00", "2026-07-15"),
    ],
)
def test_a_submission_is_announced_by_the_schedule_of_arxiv(submitted: str, announced: str) -> None:
    assert announced_on(at(submitted)) == date.fromisoformat(announced)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-20T03:59", "2026-11-19"),
        ("2026-11-20T04:00", "2026-11-20"),
        ("2026-11-22T12:00", "2026-11-20"),
        ("2026-11-23T03:00", "2026-11-20"),
        ("2026-11-23T05:00", "2026-11-23"),
    ],
)
def test_an_announcement_is_due_some_hours_after_it_may_come(now: str, due: str) -> None:
    assert last_due(at(now)) == date.fromisoformat(due)


def test_announcements_have_the_dates_of_working_days() -> None:
    assert [day.day for day in between(date(2026, 11, 18), date(2026, 11, 24))] == [19, 20, 23, 24]
    assert between(date(2026, 11, 20), date(2026, 11, 18)) == []


# --- the configuration ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"categories": []}, "categories is empty"),
        ({"categories": ["cs.cv"]}, "did you mean 'cs.CV'"),
        ({"categories": ["cs.CVV"]}, "did you mean 'cs.CV'"),
        ({"categories": ["hepth"]}, "did you mean 'hep-th'"),
        ({"categories": ["!!!"]}, "the archives are astro-ph, "),
        ({"categories": ["cs.CV"], "announce": ["news"]}, "new, cross, replace"),
        ({"categories": ["cs.CV"], "announce": []}, "new, cross, replace"),
    ],
)
def test_what_cannot_be_configured_is_said(values: dict[str, Sequence[str]], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        ArXiv(**values)  # type: ignore[arg-type]


# --- a small arXiv ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    number: str
    submitted: datetime
    announced: date
    categories: tuple[str, ...] = ("cs.CV",)
    revised: datetime | None = None
    abstract: str = "Nothing is described."

    @property
    def revised_on(self) -> date | None:
        return announced_on(self.revised) if self.revised else None


@dataclass
class Site:
    """Shows the last announcement alone, and knows everything that was ever announced."""

    papers: list[Submission]
    late: dict[date, datetime] = field(default_factory=dict)  # announcements that came later than usual
    off: set[date] = field(default_factory=set)  # holidays
    answers: dict[str, Callable[[str], Answer]] = field(
        default_factory=dict
    )  # by the beginning of an address
    per_page: int = 1000
    now: datetime = NOW
    asked: list[str] = field(default_factory=list)

    def __call__(self, url: str) -> Answer:
        self.asked.append(url)
        for beginning, answer in self.answers.items():
            if url.startswith(beginning):
                return answer(url)
        host = urlsplit(url).hostname
        query = parameters(url)
        if host == "arxiv.org":
            return self.listing(urlsplit(url).path.split("/")[2])
        if host == "rss.arxiv.org":
            return self.feed(urlsplit(url).path.rpartition("/")[2])
        return self.api(query) if host == "export.arxiv.org" else self.oai(query)

    def out(self, day: date) -> bool:
        usual = midnight(day) + timedelta(hours=1)
        return day not in self.off and day.isoweekday() < 6 and self.late.get(day, usual) <= self.now

    def last(self) -> date:
        day = self.now.date() + DAY
        while not self.out(day):
            day -= DAY
        return day

    def known(self) -> list[Submission]:
        return [item for item in self.papers if self.out(item.announced)]

    def sections(self, category: str, day: date) -> list[tuple[str, list[Submission]]]:
        there = [item for item in self.papers if any(name.startswith(category) for name in item.categories)]
        new = [item for item in there if item.announced == day]
        return [
            ("new", [item for item in new if item.categories[0].startswith(category)]),
            ("cross", [item for item in new if not item.categories[0].startswith(category)]),
            ("replace", [item for item in there if item.revised_on == day]),
        ]

    def listing(self, category: str) -> str:
        return listing(self.last(), self.sections(category, self.last()))

    def feed(self, category: str) -> str:
        day = self.last()
        return feed(day, [(kind, item) for kind, items in self.sections(category, day) for item in items])

    def api(self, query: dict[str, str]) -> str:
        found = sorted(self.known(), key=lambda item: (item.submitted, item.number))
        if "id_list" in query:
            return api([item for item in found if item.number in query["id_list"].split(",")])
        category, *dates = re.findall(r"cat:([\w.-]+)|\[(\d+) TO (\d+)\]", query["search_query"])
        name = category[0].rstrip(".")
        found = [item for item in found if any(each.startswith(name) for each in item.categories)]
        for _, low, high in dates:
            found = [item for item in found if low <= f"{item.submitted:%Y%m%d%H%M}" <= high]
        if query["sortOrder"] == "descending":
            found.reverse()
        start = int(query.get("start", "0"))
        most = min(self.per_page, int(query["max_results"]))
        return api(found[start : start + most], total=len(found), start=start)

    def oai(self, query: dict[str, str]) -> str:
        token = query.get("resumptionToken", "")
        name, since, skip = token.split("|") if token else (query["set"], query["from"], "0")
        category = name.replace("physics:", "", 1).replace("cs:", "", 1).replace(":", ".")
        changed = [
            item
            for item in self.known()
            if any(each.startswith(category) for each in item.categories)
            and max(item.announced, item.revised_on or item.announced) >= date.fromisoformat(since)
        ]
        some = changed[int(skip) : int(skip) + self.per_page]
        left = len(changed) > int(skip) + self.per_page
        return oai(some, more=f"{name}|{since}|{int(skip) + self.per_page}" if left else "")


def entry(item: Submission, kind: str) -> str:
    mark = {"cross": f"(cross-list from {item.categories[0]})", "replace": "(replaced)"}.get(kind, "")
    first, *others = (f"Subject ({name})" for name in item.categories)
    return (
        f"<dt><a href =\"/abs/{item.number}\">arXiv:{item.number}</a> {mark}</dt><dd><div class='meta'>"
        f"<div class='list-title mathjax'><span class='descriptor'>Title:</span> Paper {item.number}</div>"
        f"<div class='list-subjects'><span class='primary-subject'>{first}</span>; {'; '.join(others)}</div>"
        f"<p class='mathjax'>{item.abstract}</p></div></dd>"
    )


NAMES = {"new": "New", "cross": "Cross", "replace": "Replacement"}


def listing(day: date, sections: Iterable[tuple[str, Sequence[Submission]]], total: int | None = None) -> str:
    parts = [
        f"<h3>{NAMES[kind]} submissions (showing {len(items)} of {total or len(items)} entries)</h3>"
        f"{''.join(entry(item, kind) for item in items)}"
        for kind, items in sections
        if items
    ]
    body = "".join(parts) or "<p>No updates today.</p>"
    return f"<html><h3>Showing new listings for {day:%A, %-d %B %Y}</h3>{body}</html>"


def feed(day: date, items: Iterable[tuple[str, Submission]]) -> str:
    rows = "".join(
        f"<item><title>Paper {item.number}</title><guid>oai:arXiv.org:{item.number}v1</guid>"
        f"<description>arXiv:{item.number}v1 Announce Type: {kind} \nAbstract: Nothing.</description>"
        f"<category>{item.categories[0]}</category></item>"
        for kind, item in items
    )
    head = f"<title>x</title><pubDate>{day:%a, %d %b %Y} 00:00:00 -0500</pubDate>"
    return f"<rss><channel>{head}{rows}</channel></rss>"


def api(items: Sequence[Submission], *, total: int | None = None, start: int = 0) -> str:
    rows = "".join(
        f"<entry><id>http://arxiv.org/abs/{item.number}v1</id><title>Paper {item.number}</title>"
        f"<summary>Nothing is described.</summary><published>{item.submitted:%Y-%m-%dT%H:%M:%SZ}</published>"
        + "".join(f'<category term="{name}"/>' for name in item.categories)
        + "</entry>"
        for item in items
    )
    total = len(items) if total is None else total
    return (
        f"<feed {ATOM} {SEARCH}><o:totalResults>{total}</o:totalResults><o:startIndex>{start}</o:startIndex>"
        f"{rows}</feed>"
    )


def oai(items: Sequence[Submission], *, more: str = "") -> str:
    if not items:
        return f"<OAI-PMH {OAI}><error code='noRecordsMatch'/></OAI-PMH>"
    rows = "".join(
        f"<record><header/><metadata><arXivRaw><id>{item.number}</id><title>Paper {item.number}</title>"
        + "".join(
            f"<version><date>{instant:%a, %d %b %Y %H:%M:%S} GMT</date></version>"
            for instant in (item.submitted, item.revised)
            if instant
        )
        + f"<categories>{' '.join(item.categories)}</categories><abstract>Nothing.</abstract>"
        "</arXivRaw></metadata></record>"
        for item in items
    )
    rows += f"<resumptionToken>{more}</resumptionToken>"
    return f"<OAI-PMH {OAI}><ListRecords>{rows}</ListRecords></OAI-PMH>"


def collected(source: ArXiv, span: Period, site: Callable[[str], Answer]) -> Reading:
    """What a source makes of a site."""

    def answer(request: Request) -> Answer:
        assert request.pace == Pace("arxiv.org", 3.0)
        return site(request.url)

    return converse(source, span, answer)[0]


def daily(first: date, last: date, categories: tuple[str, ...] = ("cs.CV",)) -> list[Submission]:
    """A paper for each announcement, submitted at noon UTC of the working day before."""
    found = []
    for n, day in enumerate(between(first - DAY, last), 1):
        before = day - (3 * DAY if day.isoweekday() == 1 else DAY)
        noon = midnight(before) + DAY / 2
        found.append(Submission(f"{day:%y%m}.{day.day:02}{n:03}", noon, day, categories))
    return found


def site(until: str, *, first: str = "2026-11-02", **values: object) -> Site:
    papers = daily(date.fromisoformat(first), date(2026, 11, 30))
    return Site(papers, now=at(until), **values)  # type: ignore[arg-type]


def days(reading: Reading) -> list[tuple[str, str | None]]:
    """The day in a paper's number, which is that of its announcement, with the day it is listed on."""
    return sorted((f"{item.paper.id[11:13]}", item.announce_type) for item in reading.listings)


def asked(site: Site) -> list[str]:
    """What was asked for, shortly."""
    short = {"arxiv.org": "listing", "rss.arxiv.org": "feed", "export.arxiv.org": "api"}
    return [short.get(str(urlsplit(url).hostname), "oai") for url in site.asked]


def broken(_: str) -> FetchError:
    return FetchError("503 Service Unavailable", place="arXiv", status=503, transient=True)


CV = ArXiv(categories=["cs.CV"])


# --- conversations ----------------------------------------------------------------------------


def test_a_daily_run_reads_the_listing_alone() -> None:
    arxiv = site("2026-11-20T07:00")
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing"]
    assert days(reading) == [("20", "new")]
    assert (reading.layout, reading.complete, reading.notes) == ("listing", True, ())
    (item,) = reading.listings
    assert (item.source, item.listed_on, item.paper.abstract) == (
        "arxiv",
        date(2026, 11, 20),
        "Nothing is described.",
    )


def test_at_the_weekend_the_listing_still_shows_friday() -> None:
    arxiv = site("2026-11-22T07:00")
    reading = collected(CV, period("2026-11-20T07:00", "2026-11-22T07:00"), arxiv)
    assert (asked(arxiv), days(reading), reading.complete) == (["listing"], [("20", "new")], True)


def test_a_listing_that_did_not_change_at_the_weekend_holds_nothing_new() -> None:
    arxiv = site("2026-11-22T07:00", answers={"https://arxiv.org/": lambda _: None})
    reading = collected(CV, period("2026-11-20T07:00", "2026-11-22T07:00"), arxiv)
    assert (asked(arxiv), reading.listings, reading.complete) == (["listing"], (), True)


def test_a_listing_that_did_not_change_though_an_announcement_is_due_is_not_trusted() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": lambda _: None})
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "feed", "api"]
    assert (days(reading), reading.complete) == ([("20", "new")], True)


def test_ten_days_off_are_made_up_for_by_the_api() -> None:
    arxiv = site("2026-11-20T07:00", per_page=3)
    reading = collected(CV, period("2026-11-10T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", *["api"] * 4]
    shown = {f"{item.listed_on}" for item in reading.listings}
    assert {f"2026-11-{day}" for day in (11, 12, 13, 16, 17, 18, 19, 20)} <= shown
    assert reading.complete
    assert all(item.listed_on and item.paper.id[11:13] == f"{item.listed_on:%d}" for item in reading.listings)
    assert "submittedDate:%5B202611060000+TO+202611200700%5D" in arxiv.asked[1]


def test_a_month_off_is_made_up_for_by_oai_page_by_page() -> None:
    arxiv = site("2026-11-30T07:00", per_page=7)
    reading = collected(CV, period("2026-11-02T07:00", "2026-11-30T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "oai", "oai", "oai"]
    assert arxiv.asked[1].endswith("&metadataPrefix=arXivRaw&set=cs:cs:CV&from=2026-11-02")
    assert "resumptionToken=cs%3Acs%3ACV%7C2026-11-02%7C7" in arxiv.asked[2]
    assert {item.listed_on for item in reading.listings} >= set(
        between(date(2026, 11, 2), date(2026, 11, 30))
    )
    assert reading.complete


def test_oai_tells_new_papers_from_new_versions_and_from_old_ones() -> None:
    arxiv = site("2026-11-30T07:00")
    old = at("2024-05-01T12:00")
    arxiv.papers = [
        Submission("2611.00001", at("2026-11-09T12:00"), date(2026, 11, 10), revised=at("2026-11-12T12:00")),
        Submission("2405.00001", old, date(2024, 5, 2), revised=at("2026-11-12T12:00")),
        Submission("2405.00002", old, date(2024, 5, 2), ("cs.LG", "cs.CV"), revised=at("2026-11-12T12:00")),
        Submission("2611.00002", at("2026-10-20T12:00"), date(2026, 11, 11)),  # the moderators held it back
        Submission("2405.00003", old, date(2026, 11, 9)),  # its journal was added
    ]
    span = period("2026-11-02T07:00", "2026-11-30T07:00")
    source = ArXiv(categories=["cs.CV"], announce=["new", "cross", "replace"])
    reading = collected(source, span, arxiv)
    assert [(item.paper.id[6:], item.announce_type, str(item.listed_on)) for item in reading.listings] == [
        ("2611.00001", "new", "2026-11-10"),
        ("2405.00001", "replace", "2026-11-13"),
        ("2405.00002", "replace-cross", "2026-11-13"),
        ("2611.00002", "new", "2026-10-21"),
    ]
    assert {item.announce_type for item in collected(CV, span, arxiv).listings} == {"new"}


def test_new_versions_are_looked_for_by_oai_as_the_api_does_not_find_them() -> None:
    arxiv = site("2026-11-20T07:00")
    source = ArXiv(categories=["cs.CV"], announce=["new", "replace"])
    span = period("2026-11-18T07:00", "2026-11-20T07:00")
    assert collected(source, span, arxiv).complete
    assert asked(arxiv) == ["listing", "oai"]
    arxiv.answers = {"https://oaipmh": broken}
    reading = collected(source, span, arxiv)
    assert not reading.complete
    assert ("19", "new") in days(reading)
    assert "cs.CV: what was announced on 2026-11-19 in a new version could not be read" in reading.notes[-1]


@pytest.mark.parametrize(
    ("since", "down", "ways"),
    [
        ("2026-11-17T07:00", "https://export", ["listing", "api", "oai"]),
        ("2026-10-10T07:00", "https://oaipmh", ["listing", "oai", "api"]),
    ],
)
def test_where_one_way_to_the_past_fails_the_other_is_taken(since: str, down: str, ways: list[str]) -> None:
    arxiv = site("2026-11-20T07:00", answers={down: broken})
    reading = collected(CV, period(since, "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ways
    assert ("19", "new") in days(reading)
    assert reading.complete
    assert "503" in reading.notes[0]


def test_what_can_be_had_in_no_way_is_named() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://export": broken, "https://oaipmh": broken})
    reading = collected(CV, period("2026-11-16T07:00", "2026-11-20T07:00"), arxiv)
    assert days(reading) == [("20", "new")]
    assert not reading.complete
    assert reading.notes[-1].startswith(
        "cs.CV: what was announced from 2026-11-17 to 2026-11-19 could not be read: arXiv: 503"
    )


def test_where_the_listing_is_broken_its_feed_is_read() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": lambda _: "<html>Down</html>"})
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "feed", "api"]
    assert (days(reading), reading.complete) == ([("20", "new")], True)
    assert reading.notes[0].startswith("cs.CV: the listing could not be read, so its feed is: ")


def test_the_empty_feed_of_a_weekend_is_no_announcement() -> None:
    arxiv = site("2026-11-21T07:00", answers={"https://arxiv.org/": broken})
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 21), [])
    seen = collected(CV, period("2026-11-20T07:00", "2026-11-21T07:00"), arxiv)
    assert (days(seen), seen.complete) == ([], True)
    missed = collected(CV, period("2026-11-19T07:00", "2026-11-21T07:00"), arxiv)
    assert ("20", "new") in days(missed)
    assert missed.complete


@pytest.mark.parametrize("made_for", [date(2026, 11, 19), date(2026, 11, 20)], ids=["old date", "fresh date"])
def test_a_stale_feed_does_not_count_as_the_announcement(made_for: date) -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken})
    (wednesday,) = (item for item in arxiv.papers if item.announced == date(2026, 11, 18))
    arxiv.answers["https://rss"] = lambda _: feed(made_for, [("new", wednesday)])
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "feed", "api", "api"]
    assert ("20", "new") in days(reading)
    assert reading.complete
    assert "the API knows papers that are newer" in reading.notes[1]


def test_an_old_feed_under_its_own_date_is_kept_and_what_came_after_is_asked_for() -> None:
    down: dict[str, Callable[[str], Answer]] = {
        "https://arxiv.org/": lambda _: "<html>Down</html>",
        "https://export.arxiv.org/api/query?search_query=cat:cs.CV&": lambda _: "<html>Down</html>",
    }
    arxiv = site("2026-11-20T07:00", answers=down)
    down["https://rss"] = replace(arxiv, now=at("2026-11-19T07:00"), answers={})
    reading = collected(CV, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert days(reading)[-2:] == [("19", "new"), ("20", "new")]
    assert reading.complete
    assert any("the API cannot tell" in note for note in reading.notes)
    assert any("still shows 2026-11-19, though 2026-11-20 is due" in note for note in reading.notes)


def test_an_empty_feed_is_stale_if_the_api_knows_a_paper_of_its_day() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken})
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 20), [])
    span = period("2026-11-19T07:00", "2026-11-20T07:00")
    assert ("20", "new") in days(collected(CV, span, arxiv))
    arxiv.papers = [item for item in arxiv.papers if item.announced < date(2026, 11, 20)]
    arxiv.asked.clear()
    assert collected(CV, span, arxiv).complete
    assert asked(arxiv) == ["listing", "feed", "api"]


@pytest.mark.parametrize(
    "newest", [None, api([]), api([Submission("2611.1", NOW, NOW.date())]).replace("2026", "x")]
)
def test_an_api_that_cannot_tell_leaves_the_feed_as_it_is(newest: str | None) -> None:
    arxiv = site(
        "2026-11-20T07:00", answers={"https://arxiv.org/": broken, "https://export": lambda _: newest}
    )
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 20), [])
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert (asked(arxiv), reading.complete) == (["listing", "feed", "api"], True)


def test_a_feed_without_a_day_is_no_announcement() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken})
    arxiv.answers["https://rss"] = lambda _: "<rss><channel><title>cs.CV</title></channel></rss>"
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "feed", "api", "api"]
    assert ("20", "new") in days(reading)


def test_a_feed_as_long_as_feeds_can_be_is_not_whole() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken})
    many = [Submission(f"2611.{n:05}", at("2026-11-19T12:00"), date(2026, 11, 20)) for n in range(2000)]
    arxiv.papers = [*many, Submission("2611.02000", at("2026-11-19T12:00"), date(2026, 11, 20))]
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 20), [("new", item) for item in many[1:]])
    arxiv.answers["https://export.arxiv.org/api/query?search_query=cat:cs.CV&"] = lambda _: api(many[-1:])
    assert collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv).complete
    assert asked(arxiv) == ["listing", "feed", "api"]
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 20), [("new", item) for item in many])
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert len(reading.listings) == 2001
    assert any("it has 2000 items, and is cut there" in note for note in reading.notes)


def test_a_feed_that_did_not_change_is_no_announcement() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken, "https://rss": lambda _: None})
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert (asked(arxiv), reading.complete) == (["listing", "feed", "api"], True)
    assert ("20", "new") in days(reading)


def test_a_site_that_is_down_is_an_error() -> None:
    for since in ("2026-11-19T07:00", "2026-11-20T06:00"):
        with pytest.raises(FetchError, match="503"):
            collected(CV, period(since, "2026-11-20T07:00"), broken)


def test_a_category_that_is_down_does_not_take_the_others_with_it() -> None:
    arxiv = site("2026-11-21T07:00", answers={"https://arxiv.org/list/cs.SD": broken, "https://rss": broken})
    source = ArXiv(categories=["cs.SD", "cs.CV", "cs.CV"])
    reading = collected(source, period("2026-11-20T07:00", "2026-11-21T07:00"), arxiv)
    assert (asked(arxiv), days(reading), reading.complete) == (
        ["listing", "feed", "listing"],
        [("20", "new")],
        False,
    )
    assert "cs.SD: the feed could not be read" in reading.notes[-1]


def test_an_empty_page_of_the_api_is_asked_for_again() -> None:
    arxiv = site("2026-11-20T07:00")
    left = [api([], total=5), api([], total=5), api([], total=5)]
    arxiv.answers["https://export"] = lambda _: (
        left.pop() if left else Site.api(arxiv, parameters(arxiv.asked[-1]))
    )
    reading = collected(CV, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", *["api"] * 4]
    assert len(set(arxiv.asked)) == 2
    assert ("19", "new") in days(reading)
    assert reading.notes == ()


@pytest.mark.parametrize(
    ("answer", "said", "times"),
    [
        (api([], total=5), "came empty, though there are 5", 4),
        (api([], total=30_001, start=30_001), "gives 0 of 30001 papers, and 30000 at most", 1),
        (api([], total=5, start=5), "gives 0 of 5 papers", 1),
        (f"<feed {ATOM}><entry><id>http://arxiv.org/api/errors#x</id></entry></feed>", "with an error", 1),
    ],
)
def test_an_api_that_does_not_answer_is_given_up(answer: str, said: str, times: int) -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://export": lambda _: answer})
    reading = collected(CV, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", *["api"] * times, "oai"]
    assert said in reading.notes[0]
    assert reading.complete


@pytest.mark.parametrize(
    ("since", "host"), [("2026-11-18T07:00", "https://export"), ("2026-10-01T07:00", "https://oai")]
)
def test_an_unchanged_answer_about_the_past_holds_nothing_new(since: str, host: str) -> None:
    arxiv = site("2026-11-20T07:00", answers={host: lambda _: None})
    reading = collected(CV, period(since, "2026-11-20T07:00"), arxiv)
    assert (days(reading), reading.complete) == ([("20", "new")], True)


def test_records_without_end_are_given_up() -> None:
    arxiv = site("2026-11-20T07:00")
    arxiv.answers["https://oai"] = lambda _: oai(arxiv.papers[:1], more="again")
    reading = collected(CV, period("2026-10-01T07:00", "2026-11-20T07:00"), arxiv)
    assert len(arxiv.asked) == 302
    assert "more than 300 pages" in reading.notes[0]
    assert reading.complete


def test_records_and_results_without_a_plausible_date_are_left_out() -> None:
    arxiv = site("2026-11-20T07:00")
    wrong = [
        Submission("2611.00001", at("2026-12-24T12:00"), date(2026, 11, 19)),
        Submission("2405.00001", at("2024-05-01T12:00"), date(2026, 11, 19)),
    ]
    arxiv.answers = {"https://export": lambda _: api(wrong), "https://oai": lambda _: oai(wrong)}
    for since in ("2026-11-18T07:00", "2026-10-01T07:00"):
        assert days(collected(CV, period(since, "2026-11-20T07:00"), arxiv)) == [("20", "new")]


@pytest.mark.parametrize("off", [True, False], ids=["holiday", "late"])
def test_an_announcement_that_does_not_come_is_looked_for_again(off: bool) -> None:  # noqa: FBT001
    arxiv = site("2026-11-20T07:00")
    friday = date(2026, 11, 20)
    arxiv.off, arxiv.late = ({friday}, {}) if off else (set(), {friday: at("2026-11-20T15:00")})
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert reading.until == at("2026-11-20T03:59:59")
    assert "cs.CV: the announcement of 2026-11-20 is late, or there is none" in reading.notes[-1]
    arxiv.now = at("2026-11-23T07:00")
    reading = collected(CV, period("2026-11-20T03:59:59", "2026-11-23T07:00"), arxiv)
    assert (("20", "new") in days(reading), ("23", "new") in days(reading), reading.complete) == (
        not off,
        True,
        True,
    )


def test_a_stale_listing_is_made_up_for_by_what_the_api_knows() -> None:
    arxiv = site("2026-11-20T07:00")
    stale = arxiv.listing("cs.CV").replace("20 November", "19 November")
    arxiv.answers["https://arxiv.org/"] = lambda _: stale.replace("2611.20", "2611.19")
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert ("20", "new") in days(reading)
    assert reading.complete


def test_a_listing_of_days_to_come_does_not_count_as_what_is_due() -> None:
    arxiv = site("2026-11-20T07:00")
    ahead = arxiv.listing("cs.CV").replace("2026</h3>", "2062</h3>")
    arxiv.answers["https://arxiv.org/"] = lambda _: ahead
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing", "api"]
    assert reading.complete


def test_a_listing_in_pages_is_read_to_its_end() -> None:
    day = date(2026, 11, 20)
    papers = [Submission(f"2611.{n:05}", at("2026-11-19T12:00"), day) for n in range(5)]
    crossed = [Submission("2611.00009", at("2026-11-19T12:00"), day, ("cs.LG", "cs.CV"))]
    total = "<div class='paging'>Total of 6 entries</div>"
    arxiv = site("2026-11-20T07:00")
    url = "https://arxiv.org/list/cs.CV/new"
    undated = listing(day, [("cross", crossed)]).replace("20 November 2026", "")
    arxiv.answers = {
        f"{url}?skip=3&show=2000": lambda _: listing(day, [("new", papers[3:])], total=5),
        f"{url}?skip=5&show=2000": lambda _: undated,
        url: lambda _: listing(day, [("new", papers[:3])], total=5) + total,
    }
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == ["listing"] * 2  # the second page does not say that there is a third
    arxiv.answers[f"{url}?skip=3&show=2000"] = lambda _: listing(day, [("new", papers[3:])], total=5) + total
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert [(item.paper.id[-1], item.position) for item in reading.listings] == [
        (f"{n}", position) for position, n in enumerate((0, 1, 2, 3, 4, 9))
    ]
    assert {item.listed_on for item in reading.listings} == {day}
    assert reading.complete


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2 of 3", "unchanged"),
        ("2 of 3", "another day"),
        ("2 of 3", "nothing"),
        ("3 of 3", ""),
        ("no day", ""),
    ],
)
def test_a_listing_that_is_not_whole_is_completed_by_the_feed(first: str, second: str) -> None:
    day = date(2026, 11, 20)
    arxiv = site("2026-11-20T07:00")
    arxiv.papers = [Submission(f"2611.2000{n}", at("2026-11-19T12:00"), day) for n in range(3)]
    url = "https://arxiv.org/list/cs.CV/new"
    part = listing(day, [("new", arxiv.papers[:2])], total=3)
    part = (
        part.replace("showing 2 of", f"showing {first[0]} of")
        if first != "no day"
        else part.replace("20 Nov", "")
    )
    rest = {
        "unchanged": None,
        "another day": listing(day + 3 * DAY, [("new", arxiv.papers[2:])]),
        "nothing": listing(day, []),
    }.get(second)
    arxiv.answers = {f"{url}?skip=2": lambda _: rest, url: lambda _: part}
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv)[-2:] == ["feed", "api"]
    assert len(reading.listings) == 3
    assert reading.complete
    assert "the listing could not be read, so its feed is" in reading.notes[0]


def test_a_listing_without_end_is_given_up() -> None:
    arxiv = site("2026-11-20T07:00")
    whole = arxiv.listing("cs.CV").replace("1 of 1", "1 of 99999")
    arxiv.answers["https://arxiv.org/"] = lambda _: whole
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert asked(arxiv) == [*["listing"] * 20, "feed", "api"]
    assert "it shows 20 of 99999 entries" in reading.notes[0]
    assert reading.complete


def test_a_paper_announced_in_several_categories_is_listed_once_as_new() -> None:
    arxiv = site("2026-11-20T07:00")
    arxiv.papers = daily(date(2026, 11, 16), date(2026, 11, 20), ("cs.LG", "cs.CV"))
    source = ArXiv(categories=["cs.CV", "cs.LG"])
    reading = collected(source, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    kinds = {str(item.listed_on): item.announce_type for item in reading.listings}
    assert len(kinds) == len(reading.listings)
    assert set(kinds.values()) == {"new"}
    assert {item.paper.categories for item in reading.listings} == {("cs.LG", "cs.CV")}
    assert {
        item.announce_type
        for item in collected(CV, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv).listings
    } == {"cross"}


def test_what_was_announced_in_another_way_is_left_out() -> None:
    arxiv = site("2026-11-20T07:00")
    day = date(2026, 11, 20)
    arxiv.papers = [
        Submission("2611.20001", at("2026-11-19T12:00"), day),
        Submission("2611.20002", at("2026-11-19T12:00"), day, ("cs.LG", "cs.CV")),
        Submission("2405.00001", at("2024-05-01T12:00"), date(2024, 5, 2), revised=at("2026-11-19T12:00")),
    ]
    span = period("2026-11-19T07:00", "2026-11-20T07:00")
    for kind, number in (("new", "2611.20001"), ("cross", "2611.20002"), ("replace", "2405.00001")):
        reading = collected(ArXiv(categories=["cs.CV"], announce=[kind]), span, arxiv)
        assert [item.paper.id[6:] for item in reading.listings] == [number]


def test_a_paper_replaced_today_that_was_new_while_nobody_looked_is_both() -> None:
    arxiv = site("2026-11-20T07:00")
    paper = Submission(
        "2611.18001", at("2026-11-17T12:00"), date(2026, 11, 18), revised=at("2026-11-19T12:00")
    )
    arxiv.papers = [paper]
    source = ArXiv(categories=["cs.CV"], announce=["new", "replace"])
    reading = collected(source, period("2026-11-17T07:00", "2026-11-20T07:00"), arxiv)
    assert {(str(item.listed_on), item.announce_type) for item in reading.listings} == {
        ("2026-11-20", "replace"),
        ("2026-11-18", "new"),
    }


def test_a_paper_held_back_until_today_is_listed_today_alone() -> None:
    arxiv = site("2026-11-20T07:00")
    arxiv.papers = [Submission("2611.20001", at("2026-11-17T12:00"), date(2026, 11, 20))]
    reading = collected(CV, period("2026-11-17T07:00", "2026-11-20T07:00"), arxiv)
    assert [item.listed_on for item in reading.listings] == [date(2026, 11, 20)]


def test_an_entry_that_does_not_say_how_it_was_announced_is_kept() -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://arxiv.org/": broken})
    (friday,) = (item for item in arxiv.papers if item.announced == date(2026, 11, 20))
    arxiv.answers["https://rss"] = lambda _: feed(date(2026, 11, 20), [("new", friday)]).replace(
        "Announce", "Some"
    )
    reading = collected(CV, period("2026-11-19T07:00", "2026-11-20T07:00"), arxiv)
    assert days(reading) == [("20", None)]


def test_an_archive_is_all_of_its_subjects() -> None:
    arxiv = site("2026-11-20T07:00")
    reading = collected(ArXiv(categories=["cs"]), period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert "search_query=cat:cs.*+AND" in arxiv.asked[1]
    assert {item.announce_type for item in reading.listings} == {"new"}
    collected(ArXiv(categories=["cs"]), period("2026-10-01T07:00", "2026-11-20T07:00"), arxiv)
    assert "&set=cs:cs&" in arxiv.asked[-1]


@pytest.mark.parametrize(
    ("category", "term", "spec"),
    [
        ("hep-th", "cat:hep-th+", "&set=physics:hep-th&"),
        ("astro-ph.CO", "cat:astro-ph.CO+", "&set=physics:astro-ph:CO&"),
        ("physics.optics", "cat:physics.optics+", "&set=physics:physics:optics&"),
        ("math.AG", "cat:math.AG+", "&set=math:math:AG&"),
    ],
)
def test_each_service_is_asked_in_its_own_spelling(category: str, term: str, spec: str) -> None:
    arxiv = site("2026-11-20T07:00", answers={"https://export": broken})
    arxiv.papers = daily(date(2026, 11, 2), date(2026, 11, 20), (category,))
    collected(ArXiv(categories=[category]), period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert term in arxiv.asked[1]
    assert spec in arxiv.asked[2]


def test_two_names_of_one_category_are_one_category() -> None:
    arxiv = site("2026-11-20T07:00")
    arxiv.papers = daily(date(2026, 11, 2), date(2026, 11, 20), ("eess.SY", "cs.SY"))
    source = ArXiv(categories=["cs.SY"], announce=["new"])
    reading = collected(source, period("2026-11-18T07:00", "2026-11-20T07:00"), arxiv)
    assert ("19", "new") in days(reading)


def test_abstracts_that_a_page_leaves_out_are_asked_for_together() -> None:
    day = date(2026, 11, 20)
    arxiv = site("2026-11-20T07:00")
    arxiv.papers = [
        Submission(f"2611.20{n:03}", at("2026-11-19T12:00"), day, abstract="") for n in range(130)
    ]
    span = period("2026-11-19T07:00", "2026-11-20T07:00")
    reading = collected(CV, span, arxiv)
    assert asked(arxiv) == ["listing", "api", "api"]
    assert len(parameters(arxiv.asked[1])["id_list"].split(",")) == 100
    assert {item.paper.abstract for item in reading.listings} == {"Nothing is described."}
    assert {item.announce_type for item in reading.listings} == {"new"}

    arxiv.answers["https://export"] = lambda _: api(arxiv.papers[:1])
    assert collected(CV, span, arxiv).complete
    arxiv.answers["https://export"] = lambda _: None
    assert collected(CV, span, arxiv).complete
    arxiv.answers["https://export"] = broken
    reading = collected(CV, span, arxiv)
    assert (len(reading.listings), reading.complete) == (130, False)
    assert reading.notes[-1].startswith("the abstracts of some papers could not be read")


# --- nothing is ever missed -------------------------------------------------------------------

START = at("2026-11-02T07:00")
HOURS = 24 * 21


@st.composite
def three_weeks(draw: st.DrawFn) -> tuple[Site, list[datetime]]:
    """An arXiv with holidays, delays and papers held back, and times at which it is read."""
    papers = daily(date(2026, 11, 2), date(2026, 11, 27))
    usual = [item.announced for item in papers]
    off = draw(st.sets(st.sampled_from(usual[1:]), max_size=2))
    delays = draw(st.dictionaries(st.sampled_from(usual), st.integers(2, 24)))
    held = draw(st.sets(st.sampled_from(papers[1:]), max_size=5))

    def announced(item: Submission) -> date:
        later = [day for day in usual if day >= item.announced and day not in off] or usual[-1:]
        return later[min(item in held, len(later) - 1)]

    moved = [replace(item, announced=announced(item)) for item in papers]
    late = {day: midnight(day) + timedelta(hours=hours) for day, hours in delays.items()}
    whenever = st.sets(st.integers(1, HOURS), min_size=1, max_size=25)
    each_day = st.integers(0, 23).map(lambda hour: set(range(hour, HOURS, 24)))
    hours = draw(whenever | each_day) - draw(whenever)
    return Site(moved, late=late, off=off), [START + timedelta(hours=hour) for hour in sorted(hours)]


@given(three_weeks())
def test_whenever_it_is_read_no_announced_paper_is_missed(world: tuple[Site, list[datetime]]) -> None:
    arxiv, runs = world
    since, seen = START, set()
    for now in runs:
        arxiv.now = now
        reading = collected(CV, Period(since, now), arxiv)
        seen |= {item.paper.id[6:] for item in reading.listings}
        shown = {item.number for item in arxiv.known() if item.announced > date(2026, 11, 2)}
        if reading.complete:
            since = reading.until or now
            assert shown <= seen
