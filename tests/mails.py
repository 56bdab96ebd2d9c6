"""Mails as files that one can open: `tests/data/mails/<case>.json` and what is made of it.

A case is a profile, a digest and what the mail may link to; add one as a file, and renew the rest with

    python tests/mails.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from digest.core import feedback
from digest.core.model import Digest, Profile
from digest.render import environment
from digest.render.email import EmailRenderer

FOLDER = Path(__file__).parent / "data" / "mails"


@dataclass(frozen=True)
class Case:
    """What a mail is made of."""

    profile: Profile
    digest: Digest
    sender: str = "Digest <digest@example.org>"
    base_url: str | None = None  # of feeds and archive
    serve_url: str | None = None  # of opinions, and of stopping the mail
    formats: tuple[str, ...] = field(default=("rss", "atom", "json"))


CASE = TypeAdapter(Case)


def made(case: Case) -> Iterator[tuple[str, bytes]]:
    """The files that a case gives, by their suffix."""
    links: dict[str, Any] = {}
    if case.serve_url:
        links["opinion_link"] = partial(feedback.link, case.serve_url, bytes(32))
        links["stop_link"] = partial(feedback.stop_link, case.serve_url, bytes(32))
    mail = EmailRenderer(
        environment(), sender=case.sender, base_url=case.base_url, formats=case.formats, **links
    )
    recipient = case.profile.recipients[0]
    yield ".html", mail.html(case.profile, case.digest, recipient).encode()
    yield ".txt", mail.text(case.profile, case.digest, recipient).encode()
    yield ".eml", mail.compose(case.profile, case.digest, recipient)


def cases() -> dict[str, Case]:
    """All cases by name."""
    return {path.stem: CASE.validate_json(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))}


if __name__ == "__main__":
    for name, case in cases().items():
        for suffix, content in made(case):
            (FOLDER / f"{name}{suffix}").write_bytes(content)
