"""The feeds are well-formed whatever is in them, and say the same in every form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from digests import HOSTILE, ISSUED, chosen, digest, hostile, match, paper, profile, sample, swin, talking

from digest.core.lines import one_line
from digest.core.model import Digest, Profile, Section
from digest.core.tex import readable
from digest.render import environment
from digest.render.feed import FeedRenderer

BASE = "https://me.example.org/digest"
ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
NO_DIGESTS: tuple[Digest, ...] = ()


def files(
    digests: Sequence[Digest],
    *,
    person: Profile | None = None,
    base_url: str | None = BASE,
    entries: int = 100,
) -> dict[str, bytes]:
    renderer = FeedRenderer(environment(), base_url=base_url, entries=entries)
    return {artifact.path: artifact.content for artifact in renderer.render(person or profile(), digests)}


def rss(made: dict[str, bytes]) -> ET.Element:
    channel = ET.fromstring(made["rss.xml"]).find("channel")  # noqa: S314 - our own
    assert channel is not None
    return channel


def atom(made: dict[str, bytes]) -> ET.Element:
    return ET.fromstring(made["atom.xml"])  # noqa: S314 - our own


def items(made: dict[str, bytes]) -> list[dict[str, Any]]:
    return list(json.loads(made["feed.json"])["items"])


def test_there_are_three_files_and_each_says_what_it_is() -> None:
    made = files([sample()])
    assert set(made) == {"rss.xml", "atom.xml", "feed.json"}
    assert made["rss.xml"].startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<rss")
    assert made["atom.xml"].startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<feed")
    assert json.loads(made["feed.json"])["version"] == "https://jsonfeed.org/version/1.1"


def test_only_the_wanted_forms_are_made() -> None:
    renderer = FeedRenderer(environment(), base_url=None, formats=("atom",))
    assert [artifact.path for artifact in renderer.render(profile(), [sample()])] == ["atom.xml"]


def test_equal_digests_are_equal_bytes_in_every_process(tmp_path: Path) -> None:
    made = files([sample()])
    assert files([sample()]) == made
    script = (
        "import sys, pathlib; from digests import sample, profile; from digest.render import environment;"
        "from digest.render.feed import FeedRenderer;"
        f"[pathlib.Path(sys.argv[1], a.path).write_bytes(a.content) for a in "
        f"FeedRenderer(environment(), base_url={BASE!r}).render(profile(), [sample()])]"
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


@pytest.mark.parametrize(
    ("base_url", "paper_id", "expected"),
    [
        (None, "arxiv:2611.1", "tag:digest.invalid,2026:digest/swin/arxiv:2611.1"),
        ("https://[::1]:8000/", "arxiv:2611.1", "tag:digest.invalid,2026:digest/swin/arxiv:2611.1"),
        (
            "https://Me.Example:8443/x",
            "doi:10.5555/a<b> \ud800",
            "tag:me.example,2026:digest/swin/doi:10.5555/a%3Cb%3E%20%3F",
        ),
    ],
)
def test_an_id_is_a_tag_uri_whatever_the_paper_is_called(
    base_url: str | None, paper_id: str, expected: str
) -> None:
    made = files([digest(Section("Swin", (swin(1, id=paper_id),)))], base_url=base_url)
    assert items(made)[0]["id"] == expected


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


def test_a_paper_has_one_entry_and_the_oldest_entries_go() -> None:
    again = digest(Section("Swin", (swin(2), swin(3))), issued_at=ISSUED - timedelta(days=1))
    made = files([digest(Section("Swin", (swin(1), swin(2)))), again], entries=2)
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
    assert [link.attrib for link in entry.iter(f"{ATOM}link")] == [
        {"href": "https://papers.example/abs/2611.00001", "rel": "alternate", "type": "text/html"}
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


def test_links_to_itself_and_its_pages_are_there_only_with_an_address() -> None:
    made = files([sample()])
    home = f"{BASE}/archive/swin/index.html"
    assert [(link.get("rel"), link.get("href")) for link in atom(made).findall(f"{ATOM}link")] == [
        ("self", f"{BASE}/feeds/swin/atom.xml"),
        ("alternate", home),
    ]
    assert rss(made).findtext("link") == home
    assert [link.get("href") for link in rss(made).findall(f"{ATOM}link")] == [f"{BASE}/feeds/swin/rss.xml"]
    assert json.loads(made["feed.json"])["feed_url"] == f"{BASE}/feeds/swin/feed.json"
    without = files([sample()], base_url=None)
    assert atom(without).findall(f"{ATOM}link") == []
    assert atom(without).findtext(f"{ATOM}id") == "tag:digest.invalid,2026:digest/swin"
    assert rss(without).findtext("link") == "https://digest.invalid/"
    assert "home_page_url" not in json.loads(without["feed.json"])
    no_archive = files([sample()], person=profile(channels=("feeds",)))
    assert rss(no_archive).findtext("link") == BASE


def test_a_feed_can_be_subscribed_to_before_there_is_a_digest() -> None:
    made = files(NO_DIGESTS)
    assert items(made) == []
    assert datetime.fromisoformat(atom(made).findtext(f"{ATOM}updated") or "") == datetime(
        2026, 1, 1, tzinfo=UTC
    )


def test_hostile_papers_never_lose_a_feed_and_none_of_their_words() -> None:
    made = files([hostile()], person=profile(title=HOSTILE[6]))
    titles = [one_line(readable(text).text) for text in HOSTILE]
    assert [item["title"] for item in items(made)] == titles
    assert [entry.findtext(f"{ATOM}title") for entry in atom(made).iter(f"{ATOM}entry")] == titles
    assert [item.findtext("title") for item in rss(made).iter("item")] == titles
    for item in items(made):
        assert "<mark>Tail</mark>" in item["content_html"]
        assert not re.search(r"<(?:script|img|style)|(?:href|src)=\"(?!https?:)", item["content_html"])
        assert item["url"].endswith("?a=1&b=%3C%22'%3E")


def test_a_giant_abstract_does_not_swell_the_feed() -> None:
    item = paper(abstract="swin " * 200_000)
    made = files([digest(Section("Swin", (chosen(item, match(item, "swin", field="abstract")),)))])
    assert all(len(content) < 20_000 for content in made.values())
