"""The archive can be opened from a disk, loads nothing and shows everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from digests import HOSTILE, ISSUED, addresses, digest, elements, hostile, profile, sample, seen, swin

from digest.core.lines import one_line
from digest.core.model import Digest, Profile, Section
from digest.render import environment
from digest.render.archive import ArchiveRenderer

BASE = "https://me.example.org/digest"


def pages(
    digests: Sequence[Digest], *, person: Profile | None = None, base_url: str | None = BASE
) -> dict[str, str]:
    renderer = ArchiveRenderer(environment(), base_url=base_url)
    return {
        artifact.path: artifact.content.decode() for artifact in renderer.render(person or profile(), digests)
    }


def test_each_digest_is_a_page_and_the_index_leads_to_all_newest_first() -> None:
    issues = [digest(Section("Swin", (swin(at),)), issued_at=ISSUED - timedelta(days=at)) for at in range(3)]
    made = pages(issues)
    assert list(made) == [*(f"{issue.id}.html" for issue in issues), "index.html"]
    assert [href for href in addresses(made["index.html"]) if href.startswith("swin-")] == [
        f"{issue.id}.html" for issue in issues
    ]
    assert "Friday, 20 November 2026" in made["index.html"]
    assert "1 paper of 412 · Swin 1" in made["index.html"]


def test_pages_lead_to_their_neighbours() -> None:
    issues = [digest(issued_at=ISSUED - timedelta(days=at)) for at in range(3)]
    newest, middle, oldest = (pages(issues)[f"{issue.id}.html"] for issue in issues)
    assert re.search(rf'rel="next" href="{issues[0].id}\.html"', middle)
    assert re.search(rf'rel="prev" href="{issues[2].id}\.html"', middle)
    assert 'rel="next"' not in newest
    assert 'rel="prev"' not in oldest


def test_a_page_holds_everything_of_its_digest() -> None:
    issue = sample()
    page = pages([issue])[f"{issue.id}.html"]
    for item in (*issue.recommendations, *issue.overflow, *issue.near_misses):
        assert item.paper.title in seen(page)
    for item in issue.recommendations:
        assert one_line(item.paper.abstract) in seen(page)
        assert not item.paper.url or item.paper.url in addresses(page)
    assert "<mark>Talking Face</mark>" in page
    assert "Why: talking face in title and abstract" in seen(page)
    assert "no keyword of Swin" in seen(page)
    assert "Hugging Face: 120 papers listed, 38 new" in seen(page)
    assert "arXiv: 292 papers listed, 40 new, read in part; page 3 was missing" in seen(page)
    assert "bioRxiv: could not be read: the server answered 503" in seen(page)


def test_pages_are_equal_for_equal_digests() -> None:
    assert pages([sample(), hostile()]) == pages([sample(), hostile()])


def test_links_within_are_relative_and_feeds_can_be_discovered() -> None:
    for page in pages([sample()]).values():
        assert (
            '<link rel="alternate" type="application/atom+xml" title="Atom" href="../../feeds/swin/atom.xml">'
            in page
        )
        assert (
            '<link rel="alternate" type="application/rss+xml" title="RSS" href="../../feeds/swin/rss.xml">'
            in page
        )
        assert f'<link rel="canonical" href="{BASE}/archive/swin/' in page
    assert "../../index.html" in addresses(pages([sample()])["index.html"])
    for page in pages([sample()], person=profile(channels=("archive",)), base_url=None).values():
        assert "feeds/" not in page
        assert "canonical" not in page


def test_nothing_is_loaded_and_nothing_may_run() -> None:
    for page in pages([hostile()]).values():
        assert "default-src 'none'; style-src 'unsafe-inline'" in page
        tags = {tag for tag, _ in elements(page)}
        assert not tags & {"script", "img", "iframe", "form", "object", "base"}
        assert not re.search(r"url\(|@import", page)
        assert not [name for _, attributes in elements(page) for name in attributes if name.startswith("on")]
        assert not [href for href in addresses(page) if ":" in href and not href.startswith("https://")]


def test_hostile_papers_lose_no_word() -> None:
    issue = hostile()
    page = pages([issue])[f"{issue.id}.html"]
    for text in HOSTILE:
        assert one_line(text) in seen(page)


def test_an_index_without_digests_says_so() -> None:
    assert "No digest has been made yet." in pages([])["index.html"]


def test_the_overview_leads_to_every_profile_and_its_feeds() -> None:
    renderer = ArchiveRenderer(environment(), base_url=None)
    people = [
        profile("swin"),
        profile("only-feeds", title="Only <feeds>", channels=("feeds",)),
        profile("mail", channels=()),
    ]
    made = renderer.overview(people)
    assert made.path == "index.html"
    page = made.content.decode()
    assert addresses(page) == [
        "archive/swin/index.html",
        *(f"feeds/swin/{name}" for name in ("rss.xml", "atom.xml", "feed.json")),
        *(f"feeds/only-feeds/{name}" for name in ("rss.xml", "atom.xml", "feed.json")),
    ]
    assert "Only &lt;feeds&gt;" in page
