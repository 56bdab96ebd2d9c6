"""The texts of `data/hostile.json` in every place of a digest, and what a page is beside its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from digests import CORPUS, PERIOD, chosen, digest, paper, profile

from digest.core.model import Digest, Match, Profile, Recommendation, Section, SourceReport

HARMLESS = "Swin"


ORDINARY = [name for name, hostile in CORPUS.items() if not hostile.giant]


GIANT = [name for name, hostile in CORPUS.items() if hostile.giant]


def addressed(url: str) -> dict[str, Any]:
    """A paper's fields with this address in every place."""
    return dict.fromkeys(("url", "pdf_url", "code_url", "project_url"), url)


def of_paper(field: str) -> Callable[[str], Digest]:
    def made(text: str) -> Digest:
        changed: dict[str, Any] = {field: (text,) if field == "authors" else text}
        return digest(Section("Swin", (chosen(paper(**changed)),)))

    return made


def of_interest(text: str) -> Digest:
    evidence = Match(text, text, "title", 0, 4)
    return digest(Section(text, (chosen(paper(), evidence),)), Section("Fog", (chosen(paper(2), evidence),)))


def of_tail(text: str) -> Digest:
    nearly = Recommendation(paper(3, title=text), (), 0.1, (), missing=("no keyword of Swin",))
    return digest(overflow=(chosen(paper(2, title=text)),), near_misses=(nearly,))


def of_source(text: str) -> Digest:
    return digest(reports=(SourceReport("arxiv", PERIOD, complete=False, error=text, notes=(text,)),))


PLACES: dict[str, Callable[[str], Digest]] = {
    "title": of_paper("title"),
    "abstract": of_paper("abstract"),
    "author": of_paper("authors"),
    "organization": of_paper("organization"),
    "interest": of_interest,
    "profile": lambda text: replace(digest(Section("Swin", (chosen(paper()),))), title=text),
    "tail": of_tail,
    "source": of_source,
}


def person(place: str, text: str) -> Profile:
    return profile(title=text) if place == "profile" else profile()


def skeleton(html: str) -> list[tuple[object, ...]]:
    """All that a page consists of but its words and addresses."""
    found: list[tuple[object, ...]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, [(name, value if name != "href" else None) for name, value in attrs]))

        def handle_endtag(self, tag: str) -> None:
            found.append(("/", tag))

        def handle_data(self, data: str) -> None:
            if self.cdata_elem:
                found.append(("text", self.cdata_elem, data))

        def handle_comment(self, data: str) -> None:
            found.append(("comment", data))

        def handle_decl(self, decl: str) -> None:
            found.append(("declaration", decl))

        def unknown_decl(self, data: str) -> None:
            found.append(("section", data))

        def handle_pi(self, data: str) -> None:
            found.append(("instruction", data))

    Reader().feed(html)
    return found
