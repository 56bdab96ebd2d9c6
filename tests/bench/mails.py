"""What a mail costs where many readers have some papers in common.

    python tests/bench/mails.py --readers 500 --cards 18

Everything is invented from one seed. Each reader has a name, a title and interests of their own; papers,
and the words that were found in them, are shared as they are when profiles are composed together.
All ways must give the same bytes, but for the last.

Figures are milliseconds of CPU for a mail of one reader, both parts and all headers:

    joined    cards that are there already, between what is the reader's own
    first     the same for the first mail of all, when nothing is there
    plainly   each part rendered and encoded as a whole
    email     the same, encoded and put together by `email.message` of the standard library

and the ratios to the first row. `--links` adds the links that each reader has of their own: opinions of
every paper, and a way to stop the mail.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import Any

from digest.core import feedback
from digest.core.model import (
    Digest,
    Interest,
    Listing,
    Match,
    Paper,
    PaperId,
    Period,
    Profile,
    Recommendation,
    Section,
    SourceReport,
)
from digest.render import environment
from digest.render.email import EmailRenderer

ISSUED = datetime(2026, 11, 20, 6, 0, 4, tzinfo=UTC)
BASE = "https://digest.example.org/daily"
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
_ABSTRACT = 160  # words
_POOL = 60  # papers of which a reader gets some

Reader = tuple[Profile, Digest, str]


def words(rng: random.Random, number: int) -> str:
    return " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(number))


def recommended(rng: random.Random, number: int) -> Recommendation:
    paper = Paper(
        PaperId(f"arxiv:2611.{number:05}"),
        words(rng, 9).capitalize(),
        words(rng, _ABSTRACT).capitalize(),
        tuple(words(rng, 2).title() for _ in range(rng.randint(2, 9))),
        url=f"https://papers.example/abs/2611.{number:05}",
        pdf_url=f"https://papers.example/pdf/2611.{number:05}",
        published=date(2026, 11, 19),
    )
    listings = (Listing(paper, "huggingface", date(2026, 11, 19), number, rng.randrange(90), 2),)
    found = [Match("", word, "title", at, at + len(word)) for at, word in [(0, paper.title.split()[0])]]
    found += [Match("", word, "abstract", 0, len(word)) for word in [paper.abstract.split()[0]]]
    return Recommendation(paper, listings, 1.0, tuple(found))


def reader(rng: random.Random, number: int, pool: Sequence[Recommendation], cards: int) -> Reader:
    """A profile, its digest and its recipient."""
    interests = ("Vision transformers", "Talking faces", "Lip sync")
    chosen = rng.sample(pool, cards)
    cuts = sorted(rng.sample(range(1, cards), 2)) if cards > len(interests) else [cards, cards]
    sections = []
    for interest, start, end in zip(interests, (0, *cuts), (*cuts, cards), strict=True):
        items = tuple(
            Recommendation(
                item.paper,
                item.listings,
                rng.random(),
                tuple(Match(interest, *match[1:]) for match in item.matches),
            )
            for item in chosen[start:end]
        )
        sections.append(Section(interest, items))
    name = f"reader-{number}"
    profile = Profile(name, words(rng, 3).title(), tuple(Interest(one) for one in interests))
    digest = Digest(
        f"{name}-20261120T060000Z",
        name,
        profile.title,
        ISSUED.replace(second=0),
        ISSUED,
        ISSUED - timedelta(days=1),
        412 + number % 7,
        tuple(sections),
        reports=tuple(
            SourceReport(source, Period(ISSUED - timedelta(days=1), ISSUED), complete=True)
            for source in ("arxiv", "huggingface")
        ),
    )
    return profile, digest, f"{words(rng, 2).title()} <{name}@mail{number % 9}.example>"


def by_email(shared: EmailRenderer, profile: Profile, digest: Digest, recipient: str) -> bytes:
    """Two parts that are rendered as a whole, as `email.message` puts them together."""
    renderer = replace(shared)
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["To"] = recipient
    message.set_content(renderer.text(profile, digest, recipient), cte="quoted-printable")
    html = renderer.html(profile, digest, recipient)
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def timed(make: Callable[[Profile, Digest, str], bytes], readers: Sequence[Reader]) -> float:
    """Milliseconds of CPU for one, the least of three rounds."""
    took = []
    for _ in range(3):
        start = time.process_time()
        for one in readers:
            make(*one)
        took.append((time.process_time() - start) / len(readers) * 1000)
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--cards", type=int, default=18)
    parser.add_argument("--links", action="store_true")
    asked = parser.parse_args()
    rng = random.Random(6)  # noqa: S311 - invented papers
    pool = [recommended(rng, number) for number in range(max(_POOL, asked.cards))]
    readers = [reader(rng, number, pool, asked.cards) for number in range(asked.readers)]
    links: dict[str, Any] = {}
    if asked.links:
        links["opinion_link"] = partial(feedback.link, BASE, bytes(32))
        links["stop_link"] = partial(feedback.stop_link, BASE, bytes(32))
    renderer = EmailRenderer(environment(), sender="Digest <digest@example.org>", base_url=BASE, **links)
    few = readers[: max(asked.readers // 10, 1)]
    gc.collect()
    gc.freeze()  # the invented papers are no work of these mails

    start = time.process_time()
    size = len(renderer.compose(*readers[0]))
    first = (time.process_time() - start) * 1000
    if any(renderer.compose(*one) != renderer.compose_plainly(*one) for one in few):
        sys.exit("the mails differ")
    for one in readers:
        renderer.compose(*one)
    joined = timed(renderer.compose, readers)
    plainly = timed(renderer.compose_plainly, few)
    email = timed(partial(by_email, renderer), few)
    print(f"{asked.readers} readers, {asked.cards} cards, {size:,} bytes")  # noqa: T201
    for name, took in (("joined", joined), ("first", first), ("plainly", plainly), ("email", email)):
        print(f"{name:8} {took:8.3f} ms {took / joined:6.0f} x")  # noqa: T201


if __name__ == "__main__":
    main()
