"""E-mail alerts, as mail programs save them and as they break."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from documents import DATA
from sites import page

from digest.core.model import Reading
from digest.errors import LayoutError
from digest.sources.mail import MailReader

READER = MailReader()
HEAD = "From: a@lab.example\r\nDate: Fri, 20 Nov 2026 05:00:00 +0000\r\n"
ARXIV = (DATA / "mail" / "arxiv.eml").read_text(encoding="utf-8")


def read(content: str | bytes, captured_on: date | None = None) -> Reading:
    return READER.read(page(content), captured_on=captured_on)


def html(body: str) -> str:
    return f"{HEAD}Content-Type: text/html; charset=utf-8\r\n\r\n{body}"


def test_a_message_is_recognised_by_its_header_alone() -> None:
    assert READER.recognises(page(HEAD))
    assert READER.recognises(page(f"From x@lab.example Fri Nov 20\r\n{HEAD}\r\nTo: anybody"))
    assert READER.recognises(page(f"\n{HEAD}Subject: long\r\n\tand folded\r\n\r\n<html>"))


@pytest.mark.parametrize(
    "content",
    ["", "\0", "Dear diary", "From: me", "Date: today\nTo: me", "{}", "<html>From: a\nDate: b",
     "Title: x\nAuthors: y\nFrom there on\nDate: x", f"\n\nhello\n{HEAD}",
     "new\nGet trending papers\nFrom: a\nDate: b"],
)  # fmt: skip
def test_other_text_is_not_recognised(content: str) -> None:
    assert not READER.recognises(page(content))


def test_a_mailing_is_read_the_same_however_its_lines_end_and_its_text_is_packed() -> None:
    head, _, body = ARXIV.partition("\n\n")
    wanted = read(ARXIV)
    assert read(ARXIV.replace("\n", "\r\n")) == wanted
    quoted = body.replace("=", "=3D").replace("cs.DL", "cs=2E=\nDL")
    assert read(f"{head}\nContent-Transfer-Encoding: quoted-printable\n\n{quoted}") == wanted
    packed = f"--b\nContent-Type: text/plain\n\n{body}\n--b\nContent-Type: text/html\n\n<p>x</p>\n--b--\n"
    assert read(f'{HEAD}Content-Type: multipart/alternative; boundary="b"\n\n{packed}') == wanted
    escaped = body.replace("&", "&amp;").replace("<", "&lt;")
    assert read(html(f"<pre>{escaped}</pre>")) == wanted


def test_a_mailing_cut_short_keeps_what_it_holds_and_is_incomplete() -> None:
    reading = read(ARXIV[: ARXIV.index("  Listed twice.")])
    assert [listing.paper.id for listing in reading.listings][-1] == "arxiv:2611.90003"
    assert (reading.complete, reading.notes) == (False, ("the mail is cut short within its last entry",))


def test_a_mailing_whose_entries_say_nothing_is_broken() -> None:
    with pytest.raises(LayoutError, match="none of the entries"):
        read(f"{HEAD}\r\n\\\\\narXiv:2611.90001\nNothing: here\n\\\\\n")


def test_the_day_of_a_mail_without_a_date_is_the_one_that_is_given() -> None:
    undated = ARXIV.replace("Date: Fri, 20 Nov 2026 00:02:10 -0500", "Date: one of these days")
    assert read(undated).listings[0].listed_on is None
    assert read(undated, date(2026, 11, 21)).listings[0].listed_on == date(2026, 11, 21)


def test_an_old_number_is_known_by_its_archive() -> None:
    body = (
        "\\\\\nPaper: hep-th/9909999\nTitle: Old\n\\\\\n  Old.\n\\\\ ( https://arxiv.org/abs/hep-th/9909999 )"
    )
    (listing,) = read(f"{HEAD}\r\n{body}").listings
    assert (listing.paper.id, listing.paper.published) == ("arxiv:hep-th/9909999", None)


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "no-such-charset", "utf\0-8"])
def test_text_is_read_whatever_a_mail_says_of_its_encoding(charset: str) -> None:
    link = '<a href="https://doi.org/10.5555/a">Größe aller Dinge</a>'
    content = f'{HEAD}Content-Type: text/html; charset="{charset}"\r\n\r\n{link}'
    for encoding in ("utf-8", "iso-8859-1"):
        if charset != "iso-8859-1" or encoding == charset:
            assert read(content.encode(encoding)).listings[0].paper.title == "Größe aller Dinge"


@pytest.mark.parametrize(
    "parameters",
    [
        "charset*=utf-8; charset*0=b",
        "charset*00=\0",
        "charset=punycode",
        f"charset*{'9' * 1900}*=x",
        f"x={'y' * 1900}",
    ],
)
def test_a_part_of_which_something_broken_is_said_is_read(parameters: str) -> None:
    link = "<a href='https://doi.org/10.1234/5'>Tea is é</a>"
    reading = read(f"{HEAD}Content-Type: text/html; {parameters}\r\n\r\n{link}")
    assert [listing.paper.title for listing in reading.listings] == ["Tea is é"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Content-Type: multipart/mixed; boundary*=b; boundary*0=b", "its header is too broken to be read"),
        (f"Content-Type: text/html;\r\n x={'y' * 2000}", "a Content-Type of it has more than 2,000 bytes"),
        ("X: boundary" * 1000 + "\n a" * 50_000, "it has more parts than any mail"),
    ],
)
def test_a_header_that_no_mail_has_is_an_error_of_the_mail(header: str, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        read(f"{HEAD}{header}\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")


def test_a_paper_of_scholar_is_told_by_what_follows_its_own_heading() -> None:
    heading = "<h3><a href='https://scholar.google.com/scholar_url?url=https://lab.example/'>T {}</a></h3>"
    body = f"{heading.format(1)}{heading.format(2)}<p>x</p><div>A Blum - J</div><div>Words</div><div>x</div>"
    papers = [listing.paper for listing in read(html(f"<h3><a href='/x'>x</a></h3>{body}")).listings]
    assert [(paper.title, paper.authors, paper.abstract) for paper in papers] == [
        ("T 1", (), ""),
        ("T 2", ("A Blum",), "Words"),
    ]


def test_a_mail_about_something_else_says_which_alerts_are_known() -> None:
    with pytest.raises(LayoutError, match="no papers can be found in this mail") as caught:
        read(html('<a href="https://lab.example/">Come to our party tonight</a>'))
    assert "arXiv and Google Scholar" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "href", ["http://[", "https://safelinks.protection.outlook.com/?url=" * 9 + "x", "mailto:a@b.c"]
)
def test_a_link_that_leads_nowhere_is_no_paper(href: str) -> None:
    with pytest.raises(LayoutError):
        read(html(f'<a href="{href}">Three words here</a>'))


def test_a_paper_of_scholar_whose_link_leads_nowhere_is_known_by_its_title() -> None:
    link = '<h3><a href="https://scholar.google.com/scholar_url?url=javascript:x">One</a></h3>'
    assert read(html(link)).listings[0].paper.id.startswith("title:")


@pytest.mark.parametrize(
    "content",
    [
        HEAD + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000)),
        html("<div>" * 100_000),
        html('<h3><a href="https://scholar.google.com/scholar_url?url=x">a b c' * 20_000),
        html("<a b='" * 50_000),
        f"{HEAD}\n\\\\\narXiv:2611.90001\nTitle: x\nAuthors: {'(' * 50_000}{')' * 50_000}",
        f"{HEAD}\n" + "\\\\\narXiv:2611.90001\nTitle: x\n" * 20_000,
        f"{HEAD}\n\\\\\narXiv:2611.90001\n" + "%-" * 50_000,
        HEAD * 20_000,
    ],
)
def test_hostile_mails_are_harmless(content: str) -> None:
    READER.recognises(page(content))
    with contextlib.suppress(LayoutError):
        read(content)
