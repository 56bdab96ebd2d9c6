"""Whatever places say of papers, in whatever order: the store takes it in, and comes to rest."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from world import listings, report

from digest.core.identity import identifiers
from digest.core.model import Paper
from digest.store.store import Store


class Work(NamedTuple):
    """A paper as it is, with all that places may print of it."""

    title: str
    number: str
    bylines: tuple[tuple[str, ...], ...]


_SAME, _OTHER = "Editorial", "Swin for All of the People Here"
_LEAF = (("Ada Leaf", "Di Fern"), ("A. Leaf",), ("Ada Leaf",), ())
_TWIG = (("Bo Twig",), ("B. Twig", "Cy Root"), ())
WORKS = (
    Work(_SAME, "1", _LEAF),
    Work(_SAME, "2", _TWIG),
    Work(_OTHER, "3", _LEAF),
    Work(_OTHER, "4", _TWIG),
)
# The same titles with anybody's names and numbers: places that contradict each other.
MUDDLE = tuple(Work(one.title, other.number, (*_LEAF, *_TWIG)) for one in WORKS for other in WORKS[:2])


@st.composite
def records(draw: st.DrawFn, works: tuple[Work, ...]) -> Paper:
    """What some place says of one of these."""
    work = draw(st.sampled_from(works))

    def maybe(value: str) -> str | None:
        return draw(st.sampled_from([None, value]))

    doi = maybe(f"10.1000/{work.number}")
    names = identifiers(
        title=work.title,
        arxiv=maybe(f"2611.9000{work.number}"),
        doi=doi,
        pmid=maybe(f"100{work.number}"),
        url=maybe(f"https://papers.example/{work.number}"),
    )
    abstract = draw(st.sampled_from(["", "Short.", "Short. And much longer, with words."]))
    authors = draw(st.sampled_from(work.bylines))
    return Paper(names[0], work.title, abstract, authors, doi=doi, identifiers=names[1:])


def readings(works: tuple[Work, ...]) -> st.SearchStrategy[list[list[Paper]]]:
    """What is read, page by page."""
    return st.lists(st.lists(records(works), min_size=1, max_size=4), min_size=1, max_size=4)


@given(readings(WORKS))
def test_pages_that_are_read_again_bring_nothing_new_and_change_nothing(pages: list[list[Paper]]) -> None:
    with closing(Store("sqlite://")) as store:
        for page in pages:
            store.add(listings(*page), (), report())
            assert store.add(listings(*page), (), report()).new == 0
        for page in pages * 2:
            store.add(listings(*page), (), report())
        kept, revision = store.papers_since(), store.revision()
        for page in pages:
            assert store.add(listings(*page), (), report()).new == 0
        assert (store.papers_since(), store.revision()) == (kept, revision)
        assert [store.known(one.paper) for one in kept] == [one.paper for one in kept]


@given(readings(MUDDLE))
def test_places_that_contradict_each_other_are_read_all_the_same(pages: list[list[Paper]]) -> None:
    with closing(Store("sqlite://")) as store:
        for page in pages * 3:
            store.add(listings(*page), (), report())
        kept = store.papers_since()
        assert len({one.paper.id for one in kept}) == len(kept) > 0
