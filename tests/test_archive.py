"""The archive can be opened from a disk, loads nothing, shows everything and makes a page once."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from digests import (
    CORPUS,
    HOSTILE,
    ISSUED,
    PERIOD,
    addresses,
    digest,
    elements,
    hostile,
    match,
    paper,
    profile,
    sample,
    seen,
    swin,
    talking,
)
from hostile import GIANT, HARMLESS, ORDINARY, PLACES, person, skeleton

from digest.core.chart import DAYS, chart
from digest.core.lines import one_line
from digest.core.model import Digest, Interest, Profile, Recommendation, Section, SourceReport
from digest.core.phrases import tally
from digest.core.shelf import MADE, Shelf, shelf
from digest.core.tex import readable
from digest.render import environment
from digest.render.archive import LISTED, ArchiveRenderer

BASE = "https://me.example.org/digest"
DAY = timedelta(days=1)
TEMPLATES = environment()


def pages(
    digests: Sequence[Digest], *, person: Profile | None = None, base_url: str | None = BASE
) -> dict[str, str]:
    renderer = ArchiveRenderer(TEMPLATES, base_url=base_url)
    return {
        artifact.path: artifact.content.decode()
        for artifact in renderer.render(person or profile(), shelf(digests))
        if artifact.path != MADE
    }


def issues(number: int, *, apart: timedelta = DAY) -> list[Digest]:
    return [digest(Section("Swin", (swin(at % 50),)), issued_at=ISSUED - at * apart) for at in range(number)]


def test_each_digest_is_a_page_and_the_index_leads_to_all_newest_first() -> None:
    made = pages(issues(3))
    assert list(made) == [*(f"{issue.id}.html" for issue in issues(3)), "index.html"]
    assert [href for href in addresses(made["index.html"]) if href.startswith("swin-")] == [
        f"{issue.id}.html" for issue in issues(3)
    ]
    assert "Friday, 20 November 2026" in made["index.html"]
    assert "1 paper of 412 · Swin 1" in seen(made["index.html"])


def test_days_stand_below_their_months_and_years_lead_there() -> None:
    months = [digest(issued_at=ISSUED - at * 31 * DAY) for at in range(4)]
    page = pages(months)["index.html"]
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == [
        "November 2026",
        "October 2026",
        "September 2026",
        "August 2026",
    ]
    assert "4 digests since 19 Aug 2026" in seen(page)
    assert 'aria-label="Years"' not in page
    years = pages([digest(), digest(issued_at=ISSUED - 365 * DAY)])["index.html"]
    assert [href for href in addresses(years) if href.startswith("#in-")] == [
        "#in-2026-11",
        "#in-2025-11",
    ]
    assert {"in-2026-11", "in-2025-11"} <= {attributes.get("id") for _, attributes in elements(years)}


def test_digests_of_one_day_are_told_apart_by_the_time() -> None:
    three = [digest(), digest(issued_at=ISSUED - timedelta(hours=2)), digest(issued_at=ISSUED - DAY)]
    page = pages(three)
    assert "Older: 20 Nov 2026, 05:00" in page[f"{three[0].id}.html"]
    assert "Older: 19 Nov 2026<" in page[f"{three[1].id}.html"]
    for time in ("07:00", "05:00"):
        assert f"Friday, 20 November 2026, {time}" in page["index.html"]
    assert "Thursday, 19 November 2026<" in page["index.html"]


def test_pages_lead_to_their_neighbours() -> None:
    three = issues(3)
    newest, middle, oldest = (pages(three)[f"{issue.id}.html"] for issue in three)
    assert f'rel="next" href="{three[0].id}.html">Newer: 20 Nov 2026<' in middle
    assert f'rel="prev" href="{three[2].id}.html">Older: 18 Nov 2026<' in middle
    assert 'rel="next"' not in newest
    assert 'rel="prev"' not in oldest


def test_a_page_holds_everything_of_its_digest() -> None:
    waits = paper(60, title="Swin in the Waiting Room")
    issue = replace(
        sample(), waiting=(Recommendation(waits, (), 1.0, (match(waits, "Swin"),)),), too_old=3
    )  # fmt: skip
    page = pages([issue])[f"{issue.id}.html"]
    for item in (*issue.recommendations, *issue.overflow, *issue.near_misses):
        assert item.paper.title in seen(page)
        assert one_line(item.paper.abstract) in seen(page)
        assert not (item.paper.url or "").startswith("http") or item.paper.url in addresses(page)
    assert "<mark>Talking Face</mark>" in page
    assert "Why: talking face in title and abstract" in seen(page)
    assert "Also for Swin" in seen(page)
    assert "no keyword of Swin" in seen(page)
    assert "Read in part: arXiv." in seen(page)
    assert "1 more waits for the next digest." in seen(page)
    assert "3 more papers left out for age" in seen(page)
    assert "Hugging Face: 120 papers listed, 38 new" in seen(page)
    assert "arXiv: 292 papers listed, 40 new, read in part; page 3 was missing" in seen(page)
    assert "bioRxiv: could not be read: the server answered 503" in seen(page)


def test_other_sections_say_why_they_are_there_and_sources_what_was_odd() -> None:
    item = Recommendation(paper(5), (), 1.0, (), note="dusk, lamps")
    bare = Recommendation(paper(6, abstract="", authors=()), (), 1.0, ())
    noted = SourceReport("huggingface", PERIOD, complete=True, listed=2, notes=("two lines were odd",))
    issue = digest(Section("Related", (item, bare), "related"), reports=(noted,))
    page = seen(pages([issue])[f"{issue.id}.html"])
    assert "Not found by a keyword, but by words that go with it." in page
    assert "Why: dusk, lamps" in page
    assert "Hugging Face: 2 papers listed, 0 new; two lines were odd" in page


def test_parts_of_a_page_can_be_reached_from_its_top() -> None:
    issue = sample()
    page = pages([issue])[f"{issue.id}.html"]
    wanted = [href[1:] for href in addresses(page) if href.startswith("#")]
    assert wanted == ["main", "section-1", "section-2", "overflow", "nearly"]
    assert set(wanted) <= {attributes.get("id") for _, attributes in elements(page)}
    assert "In this digest" not in pages(issues(1))[f"{issue.id}.html"]


def test_pages_are_equal_for_equal_digests() -> None:
    assert pages([sample(), hostile()]) == pages([sample(), hostile()])


def test_links_within_are_relative_and_feeds_can_be_discovered() -> None:
    for page in pages([sample()]).values():
        for form, name, label in (("atom", "atom.xml", "Atom"), ("rss", "rss.xml", "RSS")):
            assert (
                f'<link rel="alternate" type="application/{form}+xml" '
                f'title="Vision transformers and faces ({label})" href="../../feeds/swin/{name}">'
            ) in page
        assert f'<link rel="canonical" href="{BASE}/archive/swin/' in page
    assert "../../index.html" in addresses(pages([sample()])["index.html"])
    for page in pages([sample()], person=profile(channels=("archive",)), base_url=None).values():
        assert "feeds/" not in page
        assert "canonical" not in page


def test_nothing_is_loaded_and_only_what_the_policy_names_may_run() -> None:
    for name, page in pages([hostile()]).items():
        policy = next(
            str(attributes["content"])
            for tag, attributes in elements(page)
            if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy.startswith("default-src 'none'; ")
        for tag in ("style", "script"):
            (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
            named = b64encode(sha256(text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{named}';" in policy, name
        tags = {tag for tag, _ in elements(page)}
        assert not tags & {"img", "iframe", "form", "object", "base"}
        assert not re.search(r"url\(|@import", page)
        assert not [
            attribute
            for _, attributes in elements(page)
            for attribute in attributes
            if attribute.startswith("on") or attribute == "style"
        ]
        assert not [href for href in addresses(page) if ":" in href and not href.startswith("https://")]


def test_hostile_papers_lose_no_word() -> None:
    issue = hostile()
    page = pages([issue])[f"{issue.id}.html"]
    for text in HOSTILE:
        assert one_line(text) in seen(page)


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_text_is_shown_and_changes_nothing_else(place: str) -> None:
    def drawn(text: str) -> list[str]:
        issue, reader = PLACES[place](text), replace(person(place, text), interests=())
        return [*pages([issue], person=reader).values(), overview([reader], issue)]

    def built(page: str) -> list[tuple[object, ...]]:
        # The title of a feed names the profile, in an attribute.
        return skeleton(re.sub(r'(<(?:a|link) [^>]*title=")[^"]*', r"\1", page))

    expected = [built(page) for page in drawn(HARMLESS)]
    for name in ORDINARY:
        hostile = CORPUS[name]
        found = drawn(hostile.text)
        assert [built(page) for page in found] == expected, name
        is_papers = place in {"title", "abstract", "author", "tail"}
        words, shown = readable(hostile.words).text if is_papers else hostile.words, seen(found[0])
        assert [word for word in one_line(words).split() if word not in shown] == [], name


def test_a_giant_text_is_shown_whole() -> None:
    for name in GIANT:
        text = CORPUS[name].text
        item = Recommendation(paper(title=text, abstract=text), (), 1.0, ())
        page = seen(pages([digest(Section(text, (item,)))])[f"{digest().id}.html"])
        assert page.count(one_line(readable(text).text)) >= 2, name


def test_an_index_without_digests_says_so() -> None:
    page = pages([])["index.html"]
    assert "No digest has been made yet." in page
    assert "<script>" not in page
    assert "<svg" not in pages([digest()])["index.html"]


# --- what is made again -----------------------------------------------------------------------


class Wall:
    """The digests of a profile and a folder with the pages made of them."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        self.digests = {issue.id: issue for issue in digests}
        self.files: dict[str, bytes] = {}
        self.asked: list[Sequence[str]] = []

    def _read(self, ids: Sequence[str]) -> Mapping[str, Digest]:
        self.asked.append(ids)
        return {name: self.digests[name] for name in ids}

    def dispatch(
        self, renderer: ArchiveRenderer, *, person: Profile | None = None, broken_off_after: int | None = None
    ) -> list[str]:
        """The paths of the files that are written, in their order."""
        self.asked = []
        made = renderer.render(
            person or profile(),
            Shelf(
                tuple(issue.summary for issue in self.digests.values()),
                self._read,
                frozenset(self.files),
                self.files.get(MADE, b"").decode(),
            ),
        )
        written = list(islice(made, broken_off_after))
        self.files |= {artifact.path: artifact.content for artifact in written}
        return [artifact.path for artifact in written]


PLAIN = partial(ArchiveRenderer, TEMPLATES, base_url=BASE)


def test_a_new_digest_among_500_makes_its_page_its_neighbours_and_the_index_anew() -> None:
    newest, *others = issues(500)
    wall = Wall(others)
    assert len(wall.dispatch(PLAIN())) == 499 + 2
    assert max(map(len, wall.asked)) <= 50
    wall.digests = {newest.id: newest} | wall.digests
    neighbour = others[0].id
    assert wall.dispatch(PLAIN()) == [f"{neighbour}.html", f"{newest.id}.html", "index.html", MADE]
    assert wall.asked == [[neighbour, newest.id]]
    fresh = Wall([newest, *others])
    fresh.dispatch(PLAIN())
    assert wall.files == fresh.files
    assert wall.dispatch(PLAIN()) == ["index.html", MADE]
    assert wall.asked == []


def test_pages_that_lead_to_a_lost_one_are_made_again_with_it() -> None:
    five = issues(5)
    wall = Wall(five)
    wall.dispatch(PLAIN())
    before = dict(wall.files)
    del wall.files[f"{five[2].id}.html"]
    assert set(wall.dispatch(PLAIN())) == {*(f"{issue.id}.html" for issue in five[1:4]), "index.html", MADE}
    assert wall.files == before


@pytest.mark.parametrize("change", ["base_url", "formats", "title", "channels", "time zone", "template"])
def test_a_change_of_what_pages_are_made_with_makes_all_anew(change: str, tmp_path: Path) -> None:
    wall = Wall(issues(60))
    wall.dispatch(PLAIN())
    renderer, person = PLAIN(), profile()
    match change:
        case "base_url":
            renderer = PLAIN(base_url="https://other.example")
        case "formats":
            renderer = PLAIN(formats=("atom",))
        case "title":
            person = profile(title="Windows")
        case "channels":
            person = profile(channels=("archive",))
        case "time zone":
            assert person.schedule
            person = replace(person, schedule=replace(person.schedule, timezone="Asia/Tokyo"))
        case "template":
            path = tmp_path / "archive_filter.js.j2"
            path.write_text("/* mine */", encoding="utf-8")
            renderer = ArchiveRenderer(environment(tmp_path), base_url=BASE)
    written = wall.dispatch(renderer, person=person)
    assert written[0] == MADE
    assert len(written) == 1 + 60 + 2
    assert sum(map(len, wall.asked)) == 60
    fresh = Wall(list(wall.digests.values()))
    fresh.dispatch(renderer, person=person)
    assert wall.files == fresh.files


def test_other_interests_change_the_profiles_page_alone() -> None:
    wall = Wall(issues(3))
    wall.dispatch(PLAIN())
    person = replace(profile(), interests=(Interest("Lanterns", ("lantern",)),))
    assert wall.dispatch(PLAIN(), person=person) == ["index.html", MADE]
    assert "Lanterns" in wall.files["index.html"].decode()


@pytest.mark.parametrize("written", range(9))
def test_wherever_the_writing_breaks_off_the_next_run_makes_the_rest(written: int) -> None:
    eight = issues(8, apart=DAY / 2)
    fresh = Wall(eight)
    fresh.dispatch(PLAIN())
    # New digests at the end and, after a clock was put right, in the middle.
    wall = Wall([*eight[1:4], *eight[5:]])
    wall.dispatch(PLAIN())
    wall.digests = {issue.id: issue for issue in eight}
    wall.dispatch(PLAIN(), broken_off_after=written)
    wall.dispatch(PLAIN())
    assert wall.files == fresh.files
    # Settings that were tried and taken back.
    wall.dispatch(PLAIN(base_url=None), broken_off_after=written)
    wall.dispatch(PLAIN())
    assert wall.files == fresh.files


# --- the chart --------------------------------------------------------------------------------


def test_the_chart_says_in_words_how_many_papers_each_interest_brought() -> None:
    days = [
        digest(Section("Swin", (swin(1), swin(2))), Section("Talking face", (talking(3),))),
        digest(
            Section("Swin", (swin(4),)), Section("Related", (swin(5),), "related"), issued_at=ISSUED - DAY
        ),
        digest(Section("Renamed", (swin(6),)), issued_at=ISSUED - 7 * DAY),
        digest(Section("Swin", (swin(7),)), Section("Long gone", (swin(8),)), issued_at=ISSUED - DAYS * DAY),
    ]
    page = pages(days)["index.html"]
    told = re.findall(r"<title id[^>]*>(.*?)</title>\s*<desc[^>]*>(.*?)</desc>", page)
    assert told == [
        ("Swin", "3 papers: 1 on 19 Nov, 2 on 20 Nov"),
        ("Talking face", "1 paper: 1 on 20 Nov"),
        ("Renamed", "1 paper: 1 on 13 Nov"),
    ]
    assert "<title>20 Nov: 2 papers</title>" in page
    assert "at most 2 a day" in seen(page)
    ids = [attributes["id"] for _, attributes in elements(page) if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes in elements(page):
        if tag == "svg":
            assert attributes["role"] == "img"
            assert set((attributes["aria-labelledby"] or "").split()) <= set(ids)


def test_bars_stand_on_the_days_of_the_profiles_own_calendar() -> None:
    late = digest(Section("Swin", (swin(1),)), issued_at=ISSUED.replace(hour=23))
    earlier = digest(Section("Swin", (swin(2),)), issued_at=ISSUED.replace(hour=1))
    page = pages([late, earlier])["index.html"]  # 23:00 in UTC is the next day in Berlin
    assert re.findall(r'<rect x="(\d+)"[^>]*><title>(.*?)<', page) == [
        (str(10 * (DAYS - 2) + 1), "20 Nov: 1 paper"),
        (str(10 * (DAYS - 1) + 1), "21 Nov: 1 paper"),
    ]


def test_the_days_of_a_chart_follow_the_calendar() -> None:
    made = [
        (issue.slot.astimezone(ZoneInfo("UTC")).date(), issue.summary)
        for issue in [digest(Section("Swin", (swin(1),))), digest(issued_at=ISSUED - 3 * DAY)]
    ]
    drawn = chart(["Nothing", "Swin"], made)
    assert [later - earlier for earlier, later in zip(drawn.days, drawn.days[1:], strict=False)] == [DAY] * (
        DAYS - 1
    )
    assert drawn.days[-1] == ISSUED.date()
    assert [(row.interest, row.total) for row in drawn.rows] == [("Nothing", 0), ("Swin", 1)]
    assert drawn.rows[1].papers == (0,) * (DAYS - 1) + (1,)
    assert drawn.peak == 1
    assert tally(drawn.rows[0], drawn.days) == "no papers"
    assert chart([], made[1:]).peak == 0


# --- the overview -----------------------------------------------------------------------------


def overview(people: Sequence[Profile], *digests: Digest) -> str:
    made = ArchiveRenderer(TEMPLATES, base_url=None).overview(people, [one.summary for one in digests])
    assert made.path == "index.html"
    return made.content.decode()


def links(page: str) -> list[str]:
    return [str(attributes["href"]) for tag, attributes in elements(page) if tag == "a"]


def feeds(folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in ("rss.xml", "atom.xml", "feed.json")]


def test_the_overview_leads_to_every_profile_and_its_feeds() -> None:
    page = overview(
        [
            profile("swin"),
            profile("only-feeds", title="Only <feeds>", channels=("feeds",)),
            profile("mail", channels=()),
        ]
    )
    assert links(page) == [
        "#main",
        *feeds("feeds"),
        "feeds/feeds.opml",
        "archive/swin/index.html",
        *feeds("feeds/swin"),
        *feeds("feeds/only-feeds"),
    ]
    assert "Only &lt;feeds&gt;" in page
    for href in feeds("feeds"):
        assert re.search(rf'<link rel="alternate"[^>]*href="{href}">', page)
    assert "feeds/" not in overview([profile("quiet", channels=("archive",))])


def test_the_overview_shows_the_newest_digests_by_day_and_by_profile() -> None:
    other = [replace(one, profile="other", id=f"other-{at}") for at, one in enumerate(issues(20))]
    gone = replace(digest(), profile="gone", id="gone-1")
    made = [gone, *(one for pair in zip(issues(20), other, strict=True) for one in pair)]
    unseen = profile("gone", channels=("email",))
    page = overview([profile("other", title="The other"), profile("swin"), unseen], *made)
    text = seen(page)
    assert not [href for href in links(page) if "gone" in href]
    assert "The other Friday, 20 November 2026 · 1 paper of 412 · Swin 1" in text
    assert text.index("Thursday, 19 November 2026 The other") < text.index("Wednesday, 18 November 2026")
    assert links(page)[links(page).index("feeds/swin/feed.json") + 1 :] == [
        f"archive/{name}/{one.id}.html"
        for own, another in zip(other[:14], issues(14), strict=True)
        for name, one in (("other", own), ("swin", another))
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [(0, ""), (1, "1 more profile is not listed here."), (2, "2 more profiles are not listed here.")],
)
def test_the_overview_says_how_many_profiles_it_leaves_out(more: int, said: str) -> None:
    page = overview([profile(f"p{at}", channels=("archive",)) for at in range(LISTED + more)])
    assert len(links(page)) == 1 + LISTED
    assert (said in seen(page)) if said else "not listed" not in page
