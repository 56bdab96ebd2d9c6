"""Sample digests of invented papers, and what a person or a browser finds in a page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from digest.core.model import (
    Channel,
    Digest,
    Field,
    Interest,
    Listing,
    Match,
    Paper,
    PaperId,
    Period,
    Profile,
    Recommendation,
    Schedule,
    Section,
    SourceReport,
)

ISSUED = datetime(2026, 11, 20, 6, 0, 4, tzinfo=UTC)
SLOT = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PERIOD = Period(ISSUED - timedelta(days=1), ISSUED)


class Hostile(NamedTuple):
    """What a hostile or careless page may put anywhere."""

    text: str
    words: str  # what must be seen of it, whatever becomes of the rest
    giant: bool = False
    address: bool = False


def _hostile(entry: dict[str, Any]) -> Hostile:
    text = entry["text"]
    if isinstance(text, dict):  # {"start": "a", "repeat": ["b", 3], "end": "c"} is "abbbc"
        piece, times = text["repeat"]
        text = text.get("start", "") + piece * times + text.get("end", "")
    return Hostile(text, entry.get("words", text), entry.get("giant", False), entry.get("address", False))


CORPUS = {
    entry["name"]: _hostile(entry)
    for entry in json.loads((Path(__file__).parent / "data" / "hostile.json").read_text(encoding="utf-8"))
}
"""The texts of `data/hostile.json` by name."""

# The first of them, which one mail holds in full; each ends in a word that must not be lost.
HOSTILE = tuple(found.text for found in CORPUS.values())[:10]


def match(paper: Paper, keyword: str, *, interest: str = "Swin", field: Field = "title") -> Match:
    found = re.search(re.escape(keyword), paper.text(field), re.IGNORECASE)
    assert found, f"{keyword!r} is not in the {field}"
    return Match(interest, keyword, field, *found.span())


def paper(number: int = 1, **changes: object) -> Paper:
    values: dict[str, object] = {
        "id": PaperId(f"arxiv:2611.{number:05}"),
        "title": f"Swin Lanterns {number}: Shifted Windows for Night Photography",
        "abstract": (
            "Pictures taken at night are short of light and rich in noise. "
            "We fold Swin blocks around a lantern prior, so that each shifted window borrows brightness "
            "from its neighbours, and train the whole on nothing but street lamps. "
            "On the invented DuskBench the method gains 2.1 dB at a third of the cost, and it keeps "
            "the colours that people remember. Two failure cases, fog and fireworks, are described in full."
        ),
        "authors": ("Ada Bright", "Bruno Kerze", "Chiyo Akari"),
        "url": f"https://papers.example/abs/2611.{number:05}",
        "pdf_url": f"https://papers.example/pdf/2611.{number:05}",
        "published": date(2026, 11, 18),
        "categories": ("cs.CV",),
    }
    return Paper(**(values | changes))  # type: ignore[arg-type]


def chosen(
    item: Paper, *matches: Match, upvotes: int | None = None, comments: int | None = None
) -> Recommendation:
    listing = Listing(item, "huggingface", date(2026, 11, 19), 0, upvotes, comments)
    return Recommendation(item, (listing,), 1.0, matches)


def swin(number: int, **changes: object) -> Recommendation:
    item = paper(number, **changes)
    return chosen(
        item, match(item, "Swin"), match(item, "shifted window", field="abstract"), upvotes=41, comments=3
    )


def talking(number: int) -> Recommendation:
    item = paper(
        number,
        title="Whisper to Wink: Talking Face Synthesis with Swin Encoders",
        abstract=(
            "A talking face must blink when nobody asks it to. "
            "We drive lip sync and the eyes from one latent clock, and find that listeners forgive "
            "a late lip sooner than a missing wink."
        ),
        authors=tuple(
            f"{name} Sample" for name in ("Dora", "Emil", "Fenna", "Goro", "Hatice", "Ilja", "Juno")
        ),
        author_count=10,
        organization="Institute of Small Gestures",
        code_url="https://code.example/whisper-to-wink",
        code_stars=1284,
        project_url="https://wink.example/",
    )
    return chosen(
        item,
        match(item, "lip sync", interest="Talking face", field="abstract"),
        match(item, "talking face", interest="Talking face"),
        match(item, "talking face", interest="Talking face", field="abstract"),
        match(item, "Swin", interest="Swin"),
        upvotes=128,
        comments=1,
    )


def profile(
    name: str = "swin",
    *,
    title: str = "Vision transformers and faces",
    channels: Sequence[Channel] | None = None,
) -> Profile:
    return Profile(
        name=name,
        title=title,
        interests=(Interest("Swin", ("Swin",)), Interest("Talking face", ("talking face", "lip sync"))),
        recipients=("Rea Der <reader@example.org>",),
        channels=tuple(channels) if channels is not None else ("email", "feeds", "archive"),
        schedule=Schedule((time(7),), (0, 1, 2, 3, 4), "Europe/Berlin"),
    )


def digest(
    *sections: Section,
    issued_at: datetime = ISSUED,
    since: datetime | None = ISSUED - timedelta(days=1),
    overflow: tuple[Recommendation, ...] = (),
    near_misses: tuple[Recommendation, ...] = (),
    reports: tuple[SourceReport, ...] = (),
) -> Digest:
    slot = issued_at.replace(second=0)
    return Digest(
        id=f"swin-{slot:%Y%m%dT%H%M%SZ}",
        profile="swin",
        title="Vision transformers and faces",
        slot=slot,
        issued_at=issued_at,
        since=since,
        scanned=412,
        sections=sections,
        overflow=overflow,
        near_misses=near_misses,
        reports=reports,
    )


def sample() -> Digest:
    """A digest with something of everything."""
    nearly = paper(40, title="Swinging Bridges Seen by Transformers")
    return digest(
        Section("Talking face", (talking(1),)),
        Section(
            "Swin",
            (
                swin(2),
                swin(3, title="StyleSwin in Reverse", authors=(), author_count=7, pdf_url=None),
                swin(
                    4,
                    title="Is Swin All You Skip?",
                    authors=(),
                    organization="Lamp Lab",
                    url=None,
                    pdf_url=None,
                ),
            ),
        ),
        since=ISSUED - timedelta(days=7),
        overflow=(swin(20), swin(21, url="javascript:alert(1)", pdf_url=None)),
        near_misses=(Recommendation(nearly, (), 0.4, (), missing=("no keyword of Swin",)),),
        reports=(
            SourceReport("huggingface", PERIOD, complete=True, listed=120, new=38),
            SourceReport("arxiv", PERIOD, complete=False, listed=292, new=40, notes=("page 3 was missing",)),
            SourceReport("biorxiv", PERIOD, complete=False, error="the server answered 503"),
        ),
    )


_WORDS = (  # noqa: SIM905 - as a list they would fill a page
    "amber anchor basin beacon bridge canal cedar cliff clover coral cradle delta drift ember fable falcon "
    "ferry forest garden glacier harbour heron island juniper kettle lagoon larch linen marble meadow mirror "
    "moss oasis orchard otter pebble plover quarry raven reef ribbon saddle sparrow thistle timber tunnel "
    "velvet violet walnut willow window winter"
).split()


def large(number: int) -> Digest:
    """A digest of so many papers, each with words of its own."""
    dice = Random(number)  # noqa: S311 - equal numbers give equal digests
    made = []
    for at in range(number):
        item = paper(
            at,
            title=f"Swin for the {' '.join(dice.sample(_WORDS, 6)).title()}",
            abstract=" ".join(
                "A {} by the {} and an {} of the {} in a {} is to a Swin {}.".format(*dice.sample(_WORDS, 6))
                for _ in range(8)
            ),
        )
        made.append(chosen(item, match(item, "Swin"), match(item, "Swin", field="abstract"), upvotes=at))
    return digest(Section("Swin", tuple(made[::2])), Section("Lanterns", tuple(made[1::2])))


def hostile() -> Digest:
    """A digest whose every text is one of `HOSTILE`, with evidence at the end of each title."""
    recommendations = []
    for number, text in enumerate(HOSTILE):
        item = paper(
            number,
            title=text,
            abstract=text,
            authors=(text, text),
            organization=text,
            url=f"https://papers.example/{number}?a=1&b=<\"'>",
            pdf_url="javascript:window.hacked=1",
            code_url="https://papers.example/a\r\nb",
            project_url="data:text/html,<script>window.hacked=1</script>",
            categories=(text,),
        )
        recommendations.append(
            chosen(item, match(item, "Tail", interest=text), match(item, "Tail", field="abstract"))
        )
    return digest(
        Section(HOSTILE[0], tuple(recommendations)),
        overflow=(chosen(paper(90, title=HOSTILE[1], url="javascript:alert(1)")),),
        near_misses=(Recommendation(paper(91, title=HOSTILE[2]), (), 0.1, (), missing=HOSTILE),),
        reports=(SourceReport(HOSTILE[0], PERIOD, complete=False, error=HOSTILE[3], notes=HOSTILE),),
    )


def seen(html: str) -> str:
    """What a person sees of a page, with each run of white space as one space."""
    body = re.sub(r"^.*<body[^>]*>", "", html, flags=re.DOTALL)
    apart = re.sub(r"<(?:br|/p|/h\d|/li|/a|/small|/article)[^>]*>", " ", body)
    return " ".join(unescape(re.sub(r"<[^>]*>", "", apart)).split())


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """The tags of a page with their attributes, as a browser reads them."""
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(html)
    return found


def addresses(html: str) -> list[str]:
    """Every address that a page names: links, sources, anything."""
    names = ("href", "src", "srcset", "action", "background", "poster", "data")
    return [
        value or "" for _, attributes in elements(html) for name, value in attributes.items() if name in names
    ]
