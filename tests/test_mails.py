"""The mails of `data/mails` are those that one can open there."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest
from mails import FOLDER, cases, made

CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_a_mail_is_the_one_that_was_looked_at(name: str) -> None:
    for suffix, content in made(CASES[name]):
        kept = FOLDER / f"{name}{suffix}"
        assert content.decode() == kept.read_bytes().decode(), (
            f"look at it, and if it is right: python tests/{made.__module__}.py"
        )


@pytest.mark.parametrize("name", CASES)
def test_a_message_holds_the_two_files_beside_it(name: str) -> None:
    message = message_from_bytes((FOLDER / f"{name}.eml").read_bytes(), policy=default)
    for subtype, suffix in (("plain", ".txt"), ("html", ".html")):
        part = message.get_body((subtype,))
        assert part is not None
        content = str(part.get_content()).replace("\r\n", "\n")
        assert content == (FOLDER / f"{name}{suffix}").read_text(encoding="utf-8")
