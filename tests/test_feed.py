"""The feeds are well-formed whatever is in them, and say the same in every form."""

from __future__ import annotations

import json
import locale
import re
import subprocess
import sys
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import feedparser  # type: ignore[import-untyped]
import pytest
from digests import (
    HOSTILE,
    ISSUED,
    chosen,
    digest,
    hostile,
    large,
    match,
    paper,
    profile,
    sample,
    swin,
    talking,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.core.addresses import folders
from digest.core.lines import one_line
from digest.core.model import Digest, PaperId, Profile, Section
from digest.core.shelf import MADE, Shelf, shelf
from digest.core.tex import readable
from digest.render import environment
from digest.render.feed import FeedRenderer

BASE = "https://me.example.org/digest"
ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"


def renderer(**settings: object) -> FeedRenderer:
    values: dict[str, Any] = {"base_url": BASE, "authority": "me.example.org"} | settings
    return FeedRenderer(environment(), **values)


def files(
    digests: Sequence[Digest], *, person: Profile | None = None, **settings: object
) -> dict[str, bytes]:
    found = renderer(**settings).render(person or profile(), shelf(digests))
    return {artifact.path: artifact.content for artifact in found if artifact.path != MADE}


def parsed(document: bytes) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - our own


def rss(made: dict[str, bytes]) -> ET.Element:
    channel = parsed(made["rss.xml"]).find("channel")
    assert channel is not None
    return channel


def atom(made: dict[str, bytes]) -> ET.Element:
    return parsed(made["atom.xml"])


def items(made: dict[str, bytes]) -> list[dict[str, Any]]:
    return list(json.loads(made["feed.json"])["items"])


def test_there_are_three_files_and_each_says_what_it_is() -> None:
    made = files([sample()])
    assert set(made) == {"rss.xml", "atom.xml", "feed.json"}
    style = b'<?xml-stylesheet type="text/css" href="../feed.css"?>'
    for root in ("rss", "feed"):
        begin = b"<?xml version='1.0' encoding='UTF-8'?>\n%s\n<%s " % (style, root.encode())
        assert made["rss.xml" if root == "rss" else "atom.xml"].startswith(begin)
    assert json.loads(made["feed.json"])["version"] == "https://jsonfeed.org/version/1.1"


def test_only_the_wanted_forms_are_made() -> None:
    assert set(files([sample()], formats=("atom",))) == {"atom.xml"}


def test_equal_digests_are_equal_bytes_in_every_process(tmp_path: Path) -> None:
    made = files([sample()])
    assert files([sample()]) == made
    script = (
        "import sys, pathlib; from digests import sample; from test_feed import files;"
        "[pathlib.Path(sys.argv[1], name).write_bytes(made) for name, made in files([sample()]).items()]"
    )
    root = Path(__file__).resolve().parent
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=True,
        env={"PYTHONPATH": f"{root}:{root.parent}", "PYTHONHASHSEED": "7", "LC_ALL": "C.UTF-8"},
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == made


def test_ids_are_the_papers_and_the_profiles_own_and_alike_in_every_form() -> None:
    made = files([sample()])
    ids = [item["id"] for item in items(made)]
    assert ids[0] == "tag:me.example.org,2026:digest/swin/arxiv:2611.00001"
    assert [entry.findtext(f"{ATOM}id") for entry in atom(made).iter(f"{ATOM}entry")] == ids
    assert [item.findtext("guid") for item in rss(made).iter("item")] == ids
    assert {guid.get("isPermaLink") for guid in rss(made).iter("guid")} == {"false"}
    other = files([sample()], person=profile("other"))
    assert not set(ids) & {item["id"] for item in items(other)}


def test_an_id_is_a_tag_uri_whatever_the_paper_is_called() -> None:
    made = files([digest(Section("Swin", (swin(1, id="doi:10.5555/a<b> \ud800"),)))], authority="me.example")
    assert items(made)[0]["id"] == "tag:me.example,2026:digest/swin/doi:10.5555/a%3Cb%3E%20%3F"


def test_ids_stay_when_the_feed_moves() -> None:
    before, after = files([sample()]), files([sample()], base_url="https://moved.example.net")
    assert [item["id"] for item in items(before)] == [item["id"] for item in items(after)]


def test_entries_are_dated_by_recommendation_in_rank_order_and_never_in_the_future() -> None:
    older = digest(Section("Swin", (swin(8), swin(9))), issued_at=ISSUED - timedelta(days=1))
    made = files([sample(), older])
    dates = [datetime.fromisoformat(item["date_published"]) for item in items(made)]
    assert dates[0] == ISSUED
    assert dates == sorted(set(dates), reverse=True)
    assert [parsedate_to_datetime(date.text or "") for date in rss(made).iter("pubDate")] == dates
    entries = list(atom(made).iter(f"{ATOM}entry"))
    for name in ("published", "updated"):
        assert [datetime.fromisoformat(entry.findtext(f"{ATOM}{name}") or "") for entry in entries] == dates
    assert datetime.fromisoformat(atom(made).findtext(f"{ATOM}updated") or "") == ISSUED
    assert parsedate_to_datetime(rss(made).findtext("lastBuildDate") or "") == ISSUED
    assert [item["title"] for item in items(made)[-2:]] == [swin(8).paper.title, swin(9).paper.title]


def test_dates_stay_apart_and_in_order_when_digests_follow_each_other_at_once() -> None:
    first = digest(Section("Swin", tuple(map(swin, range(5)))))
    soon = ISSUED + timedelta(seconds=2)
    second = digest(Section("Swin", tuple(map(swin, range(5, 10)))), issued_at=soon, since=ISSUED)
    made = files([replace(second, id="soon"), first])
    dates = [datetime.fromisoformat(item["date_published"]) for item in items(made)]
    assert dates[0] == soon
    assert dates == sorted(set(dates), reverse=True)
    assert [item["date_published"] for item in items(made)[5:]] == [
        item["date_published"] for item in items(files([first]))
    ]


def test_a_paper_has_one_entry_and_the_oldest_entries_go() -> None:
    again = digest(Section("Swin", (swin(2), swin(3))), issued_at=ISSUED - timedelta(days=1))
    made = files([digest(Section("Swin", (swin(1), swin(2)))), replace(again, id="again")], entries=2)
    assert [item["id"][-5:] for item in items(made)] == ["00001", "00002"]
    assert [
        item["id"][-5:] for item in items(files([digest(Section("Swin", (swin(1), swin(2)))), again]))
    ] == [
        "00001",
        "00002",
        "00003",
    ]


def test_an_entry_holds_abstract_evidence_links_and_people() -> None:
    made = files([digest(Section("Talking face", (talking(1),)))])
    html = items(made)[0]["content_html"]
    assert "<mark>lip sync</mark>" in html
    assert "Whisper to Wink: <mark>Talking Face</mark>" in html
    for url in (
        "papers.example/abs/2611.00001",
        "papers.example/pdf/2611.00001",
        "code.example/whisper-to-wink",
    ):
        assert f'href="https://{url}"' in html
    assert "Why: <em>talking face</em> in title and abstract" in html
    assert not re.search(r"<(?:style|script|img)|(?:href|src)=\"(?!https?:)", html)
    entry, item = next(atom(made).iter(f"{ATOM}entry")), next(rss(made).iter("item"))
    assert entry.findtext(f"{ATOM}content") == item.findtext(CONTENT) == html
    assert [name.text for name in entry.iter(f"{ATOM}name")] == list(talking(1).paper.authors)
    assert [creator.text for creator in item.iter(CREATOR)] == [", ".join(talking(1).paper.authors)]
    related = {"rel": "related", "title": "Code ★ 1284", "href": "https://code.example/whisper-to-wink"}
    assert [link.attrib for link in entry.iter(f"{ATOM}link")] == [
        {"href": "https://papers.example/abs/2611.00001", "rel": "alternate", "type": "text/html"},
        {
            **related,
            "href": "https://papers.example/pdf/2611.00001",
            "title": "PDF",
            "type": "application/pdf",
        },
        related,
        {**related, "href": "https://wink.example/", "title": "Project"},
    ]
    assert item.findtext("link") == "https://papers.example/abs/2611.00001"
    assert entry.findtext(f"{ATOM}summary") == items(made)[0]["summary"] == item.findtext("description")
    assert items(made)[0]["tags"] == ["Talking face", "Swin", "cs.CV"]


def test_a_sparse_paper_still_makes_an_entry() -> None:
    bare = paper(title="\x0b", abstract="", authors=(), url=None, pdf_url=None, published=None, categories=())
    made = files([digest(Section("Swin", (chosen(bare),)))])
    assert items(made)[0]["title"] == "(untitled)"
    assert next(atom(made).iter(f"{ATOM}entry")).find(f"{ATOM}content") is not None
    assert atom(made).findtext(f"{ATOM}author/{ATOM}name") == "digest"
    assert next(rss(made).iter("item")).findtext("link") == "https://scholar.google.com/scholar?q="


def test_plain_text_is_escaped_once_as_title_and_twice_as_description() -> None:
    item = paper(title="p<0.05 & <mask>", abstract="if p<0.05 & q")
    made = files([digest(Section("Swin", (chosen(item, match(item, "mask")),)))])
    assert next(rss(made).iter("item")).findtext("title") == "p<0.05 & <mask>"
    assert next(rss(made).iter("item")).findtext("description") == "if p&lt;0.05 &amp; q"
    entry = next(atom(made).iter(f"{ATOM}entry"))
    assert entry.findtext(f"{ATOM}title") == "p<0.05 & <mask>"
    assert entry.findtext(f"{ATOM}summary") == "if p<0.05 & q"


def test_titles_shown_by_title_alone_stand_in_the_last_entry_of_their_digest() -> None:
    contents = [item["content_html"] for item in items(files([sample()]))]
    assert ["Also matched that day" in html for html in contents] == [False, False, False, True]
    assert 'href="https://papers.example/abs/2611.00020"' in contents[-1]
    assert "Lanterns 21" in contents[-1]


def test_a_feed_names_itself_and_its_pages() -> None:
    made = files([sample()])
    home = f"{BASE}/archive/swin/index.html"
    assert [(link.get("rel"), link.get("href")) for link in atom(made).findall(f"{ATOM}link")] == [
        ("self", f"{BASE}/feeds/swin/atom.xml"),
        ("alternate", home),
    ]
    assert rss(made).findtext("link") == home
    assert [link.get("href") for link in rss(made).findall(f"{ATOM}link")] == [f"{BASE}/feeds/swin/rss.xml"]
    assert json.loads(made["feed.json"])["feed_url"] == f"{BASE}/feeds/swin/feed.json"
    assert json.loads(made["feed.json"])["home_page_url"] == home
    no_archive = files([sample()], person=profile(channels=("feeds",)))
    assert rss(no_archive).findtext("link") == f"{BASE}/index.html"


def test_a_feed_can_be_subscribed_to_before_there_is_a_digest() -> None:
    made = files(())
    assert items(made) == []
    assert datetime.fromisoformat(atom(made).findtext(f"{ATOM}updated") or "") == datetime(
        2026, 1, 1, tzinfo=UTC
    )


def test_a_digest_without_papers_changes_no_feed() -> None:
    silent = digest(issued_at=ISSUED + timedelta(days=1))
    assert files([silent, sample()]) == files([sample()])


def test_the_day_of_the_paper_is_told_and_taken_for_that_of_the_entry_by_nobody() -> None:
    made = files([digest(Section("Swin", (swin(1),)))])
    entry = next(atom(made).iter(f"{ATOM}entry"))
    assert entry[0].tag == "{http://purl.org/dc/elements/1.1/}date"
    assert entry[0].text == "2026-11-18"
    for form in ("atom.xml", "rss.xml"):
        (read,) = feedparser.parse(made[form]).entries
        assert read.published_parsed[:6] == ISSUED.timetuple()[:6]
        if form == "atom.xml":
            assert read.updated_parsed[:6] == ISSUED.timetuple()[:6]
        assert "18\u00a0Nov\u00a02026" in read.content[0].value


def test_a_thumbnail_is_a_child_of_its_entry() -> None:
    shown, hidden = (
        swin(1, thumbnail_url="https://t.example/1.png"),
        swin(2, thumbnail_url="data:image/png,x"),
    )
    made = files([digest(Section("Swin", (shown, hidden)))])
    thumbnail = "{http://search.yahoo.com/mrss/}thumbnail"
    for found in (list(atom(made).iter(f"{ATOM}entry")), list(rss(made).iter("item"))):
        assert [one.get("url") for one in found[0].findall(thumbnail)] == ["https://t.example/1.png"]
        assert found[1].find(thumbnail) is None
    assert [item.get("image") for item in items(made)] == ["https://t.example/1.png", None]


def test_the_locale_of_the_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: object) -> str:
        raise AssertionError("every thread shares it")

    monkeypatch.setattr(locale, "setlocale", touched)
    assert files([sample()])


# --- older entries ----------------------------------------------------------------------------


def days(number: int, papers: int) -> list[Digest]:
    """Digests of so many days, newest first, each of so many papers."""
    return [
        digest(
            Section("Swin", tuple(swin(papers * day + one) for one in range(papers))),
            issued_at=ISSUED + timedelta(days=day),
        )
        for day in reversed(range(number))
    ]


def numbers(document: bytes) -> list[int]:
    """The numbers of the papers in a feed, from their ids."""
    return [int(number) for number in re.findall(rb"/arxiv:2611\.(\d+)", document)]


def following(document: bytes) -> str:
    """The name of the document with the entries before, if there is one."""
    if document.startswith(b"{"):
        found = json.loads(document).get("next_url", "")
    else:
        links = {link.get("rel"): link.get("href", "") for link in parsed(document).iter(f"{ATOM}link")}
        found = links.get("prev-archive", "")
    return str(found).rpartition("/")[2]


@pytest.mark.parametrize("form", ["atom.xml", "rss.xml", "feed.json"])
def test_older_entries_are_found_by_going_back_from_document_to_document(form: str) -> None:
    made = files(days(9, 3), entries=10)
    names = [form]
    while name := following(made[names[-1]]):
        names.append(name)
    assert len(names) == 3
    stem, suffix = form.split(".")
    assert names[1:] == [f"{stem}-2.{suffix}", f"{stem}-1.{suffix}"]
    newest, *_ = found = [list(dict.fromkeys(numbers(made[name]))) for name in names]
    assert len(newest) == 10
    assert sorted({number for document in found for number in document}) == list(range(27))


def test_an_archived_document_says_so_and_where_the_current_one_is() -> None:
    made = files(days(9, 3), entries=10)
    assert {"atom-1.xml", "atom-2.xml", "rss-1.xml", "rss-2.xml", "feed-1.json", "feed-2.json"} < set(made)
    history = "{http://purl.org/syndication/history/1.0}archive"
    for form, root in (("atom", parsed(made["atom-2.xml"])), ("rss", parsed(made["rss-2.xml"])[0])):
        assert root.find(history) is not None
        found = {link.get("rel"): link.get("href") for link in root.findall(f"{ATOM}link")}
        assert (
            found.items()
            >= {
                "self": f"{BASE}/feeds/swin/{form}-2.xml",
                "current": f"{BASE}/feeds/swin/{form}.xml",
                "prev-archive": f"{BASE}/feeds/swin/{form}-1.xml",
            }.items()
        )
    assert atom(made).find(history) is None


@settings(max_examples=40)  # each of which renders up to a dozen times
@given(st.lists(st.integers(0, 7), max_size=12), st.integers(1, 9), st.sampled_from(["paper", "digest"]))
def test_no_entry_falls_between_the_documents_and_archived_ones_never_change(
    sizes: list[int], entries: int, entry: str
) -> None:
    digests: list[Digest] = []
    archived: dict[str, bytes] = {}
    for day, size in enumerate(sizes):
        section = Section("Swin", tuple(swin(10 * day + one) for one in range(size)))
        digests.insert(0, digest(section, issued_at=ISSUED + timedelta(days=day)))
        made = files(digests, entries=entries, entry=entry, formats=("json",))
        assert {name: made[name] for name in archived} == archived
        archived = {name: content for name, content in made.items() if name != "feed.json"}
        every = {item["id"] for content in made.values() for item in json.loads(content)["items"]}
        wanted = sum(sizes[: day + 1]) if entry == "paper" else len(list(filter(None, sizes[: day + 1])))
        assert len(every) == wanted
        newest = next(filter(None, reversed(sizes[: day + 1])), 0) if entry == "paper" else 0
        assert len(json.loads(made["feed.json"])["items"]) == min(max(entries, newest), wanted)


def test_what_is_archived_is_read_again_only_when_it_would_change() -> None:
    digests = days(9, 3)
    asked: list[str] = []

    def read(ids: Sequence[str]) -> dict[str, Digest]:
        asked.extend(ids)
        return {one.id: one for one in digests if one.id in ids}

    def rendered(published: Iterable[str], made: str, **settings: object) -> dict[str, bytes]:
        asked.clear()
        full = Shelf(tuple(one.summary for one in digests), read, frozenset(published), made)
        found = renderer(**{"entries": 10} | settings).render(profile(), full)
        return {artifact.path: artifact.content for artifact in found}

    first = rendered((), "")
    assert len(asked) == 8 + 4
    made = first[MADE].decode()
    again = rendered(first, made)
    assert set(again) == {"atom.xml", "rss.xml", "feed.json", MADE}
    assert asked == [one.id for one in digests[:4]]
    assert again.items() <= first.items()
    assert set(rendered(set(first) - {"rss-1.xml"}, made)) == {
        *again,
        "atom-1.xml",
        "rss-1.xml",
        "feed-1.json",
    }
    assert set(rendered(first, made, base_url="https://moved.example.net")) == set(first)
    assert list(first)[-1] == MADE


# --- one entry for each digest, and feeds of interests ----------------------------------------


def test_a_whole_digest_can_be_one_entry() -> None:
    made = files([sample()], entry="digest")
    (item,) = items(made)
    assert item["id"] == f"tag:me.example.org,2026:digest/swin/{sample().id}"
    assert item["title"] == "6 papers: Talking face 1, Swin 3, 2 by title"
    assert item["url"] == f"{BASE}/archive/swin/{sample().id}.html"
    assert item["date_published"] == ISSUED.isoformat()
    assert item["tags"] == ["Talking face", "Swin"]
    html = item["content_html"]
    for one in (*sample().recommendations, *sample().overflow):
        assert one.paper.title in re.sub("<[^>]*>", "", html).replace("&amp;", "&")
    assert html.index("Whisper to Wink") < html.index("Lanterns 2:") < html.index("Also matched")
    assert "Could not be read: bioRxiv" in html
    (moved,) = items(files([sample()], entry="digest", base_url="https://x.example/index.html"))
    assert moved["url"] == f"https://x.example/index.html/archive/swin/{sample().id}.html"
    (alone,) = items(files([sample()], entry="digest", person=profile(channels=("feeds",))))
    assert "url" not in alone
    assert next(atom(made).iter(f"{ATOM}entry")).findtext(f"{ATOM}content") == html


def test_an_entry_of_very_many_papers_stays_small_and_names_them() -> None:
    many = large(240)
    shown = replace(many.sections[0], recommendations=many.sections[0].recommendations[:90])
    more = replace(many, sections=(shown,), overflow=many.recommendations[90:])
    for entry in ("paper", "digest"):
        made = files([more], entry=entry)
        assert all(len(content) < 5_000_000 for content in made.values())
        assert "and 50 more" in items(made)[-1]["content_html"]
    (item,) = items(files([more], entry="digest"))
    assert len(item["content_html"]) < 100_000
    assert item["content_html"].count("<h3>") < 90
    assert "<p>And:</p>" in item["content_html"]


def test_an_interest_has_a_feed_of_its_own_if_that_is_asked_for() -> None:
    made = files([sample()], per_interest=True)
    swins, talks = (json.loads(made[f"{name}/feed.json"]) for name in ("swin", "talking-face"))
    assert set(made) == {
        f"{folder}{name}"
        for folder in ("", "swin/", "talking-face/")
        for name in ("atom.xml", "rss.xml", "feed.json")
    }
    assert [item["title"] for item in talks["items"]] == [talking(1).paper.title]
    # A paper that both want stands in both, under ids of their own and with all its evidence.
    assert [item["title"] for item in swins["items"]] == [item["title"] for item in items(made)]
    assert swins["items"][0]["id"] == "tag:me.example.org,2026:digest/swin/swin/arxiv:2611.00001"
    assert "talking face</em> in title" in swins["items"][0]["content_html"]
    assert talks["title"] == "Vision transformers and faces: Talking face"
    assert talks["feed_url"] == f"{BASE}/feeds/swin/talking-face/feed.json"
    assert b'href="../../feed.css"' in made["swin/atom.xml"]


def test_an_interest_of_which_there_are_titles_alone_has_them_in_its_feed() -> None:
    only = replace(talking(1), matches=tuple(one for one in talking(1).matches if one.interest != "Swin"))
    tail = digest(Section("Talking face", (only,)), overflow=(swin(8), swin(9)))
    (entry,) = json.loads(files([tail], per_interest=True)["swin/feed.json"])["items"]
    assert entry["title"] == swin(8).paper.title
    assert "Lanterns 9" in entry["content_html"]
    alone = files([digest(Section("Talking face", (only,)))], per_interest=True, entry="digest")
    assert json.loads(alone["swin/feed.json"])["items"] == []


def test_folders_of_interests_are_told_apart_whatever_their_order() -> None:
    names = ["Talking face", "talking-face", "C", "C++", "Kühe", "顔", "..", "x" * 200]
    made = folders(names)
    assert list(made.values())[:3] == ["talking-face", "talking-face-87078599", "c"]
    assert len(set(made.values())) == len(names)
    assert all(re.fullmatch("[a-z0-9-]{1,80}", name) for name in made.values())
    assert folders(names[::-1]) == made
    assert len(set(folders(["Swin", "SWIN"]).values())) == 2


# --- of all profiles --------------------------------------------------------------------------


def of_all(digests: Sequence[Digest], *people: Profile, **settings: object) -> dict[str, bytes]:
    full = shelf(sorted(digests, key=lambda one: one.issued_at, reverse=True))

    def first(papers: Iterable[PaperId], profiles: Container[str]) -> dict[PaperId, str]:
        asked = set(papers)
        return {
            item.paper.id: one.id
            for one in sorted(digests, key=lambda one: (one.issued_at, one.profile), reverse=True)
            if one.profile in profiles
            for item in one.recommendations
            if item.paper.id in asked
        }

    found = renderer(**settings).of_all(people, full.summaries, full.read, first)
    return {artifact.path: artifact.content for artifact in found if not artifact.is_withdrawn}


def test_the_feed_of_all_has_each_paper_once_and_says_whose_it_is() -> None:
    mine = digest(Section("Swin", (swin(1), swin(2))))
    yours = replace(
        digest(Section("Lamps", (swin(2), swin(3))), issued_at=ISSUED + timedelta(hours=1)),
        id="you-1",
        profile="you",
    )
    gone = replace(
        digest(Section("Swin", (swin(9),)), issued_at=ISSUED + timedelta(hours=2)), id="x", profile="gone"
    )
    private = replace(gone, id="y", profile="private")
    people = profile(), profile("you", title="Lamps & more"), profile("private", channels=("email",))
    made = of_all([mine, yours, gone, private], *people)
    found = items(made)
    assert [item["id"] for item in found] == [
        f"tag:me.example.org,2026:digest-of-all/arxiv:2611.0000{number}" for number in (3, 1, 2)
    ]
    assert [item["tags"][0] for item in found] == ["Lamps & more", *[profile().title] * 2]
    (source, *_) = (entry.find(f"{ATOM}source") for entry in atom(made).iter(f"{ATOM}entry"))
    assert source is not None
    assert source.findtext(f"{ATOM}id") == "tag:me.example.org,2026:digest/you"
    assert source.findtext(f"{ATOM}title") == "Lamps & more"
    item = next(rss(made).iter("item")).find("source")
    assert item is not None
    assert (item.text, item.get("url")) == ("Lamps & more", f"{BASE}/feeds/you/rss.xml")
    assert len(items(of_all([mine, yours], *people, entry="digest"))) == 2


def test_an_entry_of_the_feed_of_all_keeps_its_date_whoever_joins_and_whatever_comes() -> None:
    people = profile(), profile("you")
    mine = digest(Section("Swin", (swin(1), swin(2))))
    same = replace(mine, id="you-1", profile="you", sections=(Section("Swin", (swin(3), swin(4))),))
    before = {item["id"]: item["date_published"] for item in items(of_all([mine, same], *people))}
    assert len(set(before.values())) == 4
    assert list(before.values()) == sorted(before.values(), reverse=True)
    again = replace(same, id="you-2", issued_at=ISSUED + timedelta(days=9), sections=mine.sections)
    soon = replace(
        same, id="you-3", issued_at=ISSUED + timedelta(seconds=3), sections=(Section("Swin", (swin(5),)),)
    )
    after = {item["id"]: item["date_published"] for item in items(of_all([again, soon, mine, same], *people))}
    assert after.items() > before.items()
    assert len(after) == 5


def test_what_came_in_one_run_is_never_cut_off_in_the_feed_of_all() -> None:
    people = [profile(f"p{number}") for number in range(4)]
    made = [
        replace(
            digest(Section("Swin", tuple(swin(10 * number + one) for one in range(4)))),
            id=one.name,
            profile=one.name,
        )
        for number, one in enumerate(people)
    ]
    old = replace(digest(Section("Swin", (swin(90),)), issued_at=ISSUED - timedelta(days=1)), profile="p0")
    assert len(items(of_all([*made, old], *people, entries=5))) == 16
    assert len(items(of_all([*made, old], *people, entries=17))) == 17


def test_the_list_of_feeds_can_be_subscribed_to_as_a_whole() -> None:
    people = profile(title=HOSTILE[6]), profile("you"), profile("private", channels=("email", "archive"))
    root = parsed(of_all([], *people, per_interest=True)["feeds.opml"])
    outlines = list(root.iter("outline"))
    assert [outline.get("xmlUrl", "").removeprefix(f"{BASE}/feeds/") for outline in outlines] == [
        "atom.xml",
        *(
            f"{name}{interest}atom.xml"
            for name in ("swin/", "you/")
            for interest in ("", "swin/", "talking-face/")
        ),
    ]
    assert outlines[1].get("text") == one_line(HOSTILE[6])
    assert {outline.get("type") for outline in outlines} == {"rss"}
    assert outlines[1].get("htmlUrl") == f"{BASE}/archive/swin/index.html"
    only_json = parsed(of_all([], *people, formats=("json",))["feeds.opml"])
    assert next(only_json.iter("outline")).get("xmlUrl") == f"{BASE}/feeds/feed.json"


# --- hostile ----------------------------------------------------------------------------------


def test_hostile_papers_never_lose_a_feed_and_none_of_their_words() -> None:
    made = files([hostile()], person=profile(title=HOSTILE[6]))
    titles = [one_line(readable(text).text) for text in HOSTILE]
    assert [item["title"] for item in items(made)] == titles
    # What reads as the end of an element is told apart from one, by a sign that nobody sees.
    apart = [title.replace("</", "<\u2060/") for title in titles]
    assert [entry.findtext(f"{ATOM}title") for entry in atom(made).iter(f"{ATOM}entry")] == apart
    assert [item.findtext("title") for item in rss(made).iter("item")] == apart
    for item in items(made):
        assert "<mark>Tail</mark>" in item["content_html"]
        assert not re.search(r"<(?:script|img|style)|(?:href|src)=\"(?!https?:)", item["content_html"])
        assert item["url"].endswith("?a=1&b=%3C%22'%3E")


def test_a_giant_abstract_does_not_swell_the_feed() -> None:
    item = paper(abstract="swin " * 200_000)
    made = files([digest(Section("Swin", (chosen(item, match(item, "swin", field="abstract")),)))])
    assert all(len(content) < 20_000 for content in made.values())
