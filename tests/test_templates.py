"""Templates are the user's to change, and tell where they are wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from digests import HOSTILE, ISSUED, PERIOD, digest, paper, profile, swin
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from digest.core.addresses import http_url, joined, links, page
from digest.core.lines import clean, shortened
from digest.core.model import Listing, Recommendation, Section, SourceReport
from digest.core.phrases import (
    badges,
    byline,
    catching_up,
    changes,
    coverage,
    dated,
    facts,
    gaps,
    heartbeat,
    source_label,
    weekday,
)
from digest.errors import RenderError
from digest.render import defined, environment, marked, render, starred, wrapped
from digest.render.email import EmailRenderer
from digest.resources import folder


def write(into: Path, name: str, text: str) -> Path:
    into.mkdir(exist_ok=True)
    (into / name).write_text(text, encoding="utf-8")
    return into / name


def test_a_template_in_the_users_folder_takes_the_place_of_ours(tmp_path: Path) -> None:
    write(tmp_path, "feed_entry.html.j2", "mine: {{ recommendation.paper.title }}")
    assert render(environment(tmp_path), "feed_entry.html.j2", recommendation=swin(1)).startswith(
        "mine: Swin"
    )


def test_the_users_template_may_build_on_ours(tmp_path: Path) -> None:
    write(tmp_path, "mine.html.j2", '{% extends "archive_page.html.j2" %}{% block title %}Mine{% endblock %}')
    drawn = render(environment(tmp_path), "mine.html.j2", canonical="", feeds=[])
    assert "<title>Mine</title>" in drawn
    assert "Content-Security-Policy" in drawn


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("first\n{{ paper.heading }}\n", 2, "heading"),
        ("first\n\n{% if paper %}\n", 3, "endif"),
        ("{{ paper.title | nosuchfilter }}", 1, "nosuchfilter"),
        ("\n\n\n{{ 1 // 0 }}", 4, "zero"),
        ("\n{{ paper.__class__.__mro__ }}", 2, "unsafe"),
        ("{# a comment that takes a line #}\n{% include 'part.txt.j2' %}", 2, "misspelt"),
        ("\n{{ paper.titel | marked(()) }}", 2, "titel"),
        ("\n{{ paper.titel | readable }}", 2, "titel"),
        ("\n{% include 'none.txt.j2' %}", 2, "none.txt.j2"),
        ("\n{% include '/etc/hostname' %}", 2, "/etc/hostname"),
        ("\n{% include '../secret' %}", 2, "../secret"),
        ("\n{% for number in range(10**9) %}{% endfor %}", 2, "Range too big"),
        ("\n{{ ''.__class__ }}", 2, "unsafe"),
        ("\n{{ 'x' * 2**62 }}", 2, "MemoryError"),
    ],
)
def test_a_wrong_template_is_named_with_file_and_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    part = write(tmp_path, "part.txt.j2", "\n{{ misspelt }}")
    wrong = part if said == "misspelt" else write(tmp_path, "wrong.txt.j2", text)
    write(tmp_path, "wrong.txt.j2", text)
    with pytest.raises(RenderError) as caught:
        render(environment(tmp_path), "wrong.txt.j2", paper=paper())
    assert caught.value.place == f"{wrong}:{line}"
    assert said in str(caught.value)
    assert ".." not in str(caught.value).replace("../", "")
    assert caught.value.remedy


def test_a_missing_template_is_named() -> None:
    with pytest.raises(RenderError, match=r"there is no template 'none\.html\.j2'"):
        render(environment(), "none.html.j2")


def test_a_template_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt.j2").write_bytes("first\nsecond\nfür\n".encode("latin-1"))
    with pytest.raises(RenderError, match=r"templates/a\.txt\.j2: the template is not UTF-8, in line 3\."):
        render(environment(tmp_path), "a.txt.j2")


def test_a_style_that_sets_nothing_is_named(tmp_path: Path) -> None:
    write(tmp_path, "email_style.html.j2", "{# forgotten #}")
    with pytest.raises(RenderError, match=r"templates/email_style\.html\.j2: the template sets no 'css'"):
        defined(environment(tmp_path), "email_style.html.j2", "css")


@pytest.mark.parametrize(
    ("name", "text"), [("email_card.html.j2", "\n{{ paper.titel }}"), ("email_card.txt.j2", "\n{{ nope }}")]
)
def test_a_mistake_in_a_card_is_told_once_and_with_its_own_place(
    tmp_path: Path, name: str, text: str
) -> None:
    wrong = write(tmp_path, name, text)
    mail = EmailRenderer(environment(tmp_path), sender="digest@example.org", base_url=None)
    with pytest.raises(RenderError) as caught:
        mail.compose(profile(), digest(Section("Swin", (swin(1),))), "reader@example.org")
    assert caught.value.place == f"{wrong}:2"
    assert str(caught.value).count("the template failed") == 1


def test_a_template_with_the_line_ends_of_windows_gives_the_same_mail(tmp_path: Path) -> None:
    for path in folder("templates").glob("email*.j2"):
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    made = [
        EmailRenderer(templates, sender="digest@example.org", base_url=None).compose(
            profile(), digest(Section("Swin", (swin(1), swin(2)))), "reader@example.org"
        )
        for templates in (environment(), environment(tmp_path))
    ]
    assert made[0] == made[1]


def test_a_wrong_value_in_no_template_of_ours_still_names_the_template(tmp_path: Path) -> None:
    write(tmp_path, "odd.txt", "{{ 1 // 0 }}")
    with pytest.raises(RenderError, match=r"templates/odd\.txt: "):
        render(environment(tmp_path), "odd.txt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.html.j2", "&lt;"), ("a.html", "&lt;"), ("a.xml.j2", "&lt;"), ("a.txt.j2", "<"), ("a.txt", "<")],
)
def test_html_and_xml_are_escaped_and_plain_text_is_not(tmp_path: Path, name: str, expected: str) -> None:
    write(tmp_path, name, "{{ value }}")
    assert render(environment(tmp_path), name, value="<") == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_cleaning_loses_no_word_of_a_hostile_text(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.endswith("Tail")
    assert cleaned.isprintable() or "\n" in cleaned
    assert re.findall("[A-Za-z]+", cleaned) == re.findall("[A-Za-z]+", text)
    cleaned.encode()


@given(st.text())
def test_clean_text_can_stand_in_xml(text: str) -> None:
    cleaned = clean(text)
    assert all(
        character in "\t\n"
        or " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character >= "\U00010000"
        for character in cleaned
    )
    assert clean(cleaned) == cleaned


def test_evidence_is_marked_and_everything_escaped() -> None:
    assert marked("a <b> Swin & c", [(6, 10)]) == "a &lt;b&gt; <mark>Swin</mark> &amp; c"
    assert starred("a <b> Swin & c", [(6, 10)]) == "a <b> *Swin* & c"


def test_evidence_beyond_a_cut_is_cut_with_it() -> None:
    text = "one two Swin four five"
    assert marked(text, [(8, 12), (18, 22)], 14) == "one two <mark>Swin</mark>…"
    assert starred(text, [(0, 3), (18, 22)], 9) == "*one* two…"


@given(st.text(alphabet=" ab,.\n", max_size=60), st.integers(1, 30))
def test_a_shortened_text_is_a_beginning_and_keeps_the_limit(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]) and len(short) <= limit + 1)


def test_a_cut_falls_between_words() -> None:
    assert shortened("one two three", 9) == "one two…"
    assert shortened("one two three", 7) == "one two…"
    assert shortened("onetwothree", 4) == "onet…"
    assert shortened("one", 3) == "one"


@given(
    st.lists(st.text(alphabet="abcö-", min_size=1, max_size=90), min_size=1, max_size=30),
    st.sampled_from(["", "  ", "• ", "  • "]),
)
def test_wrapping_keeps_every_word_and_72_columns(words: list[str], lead: str) -> None:
    lines = wrapped(lead + " ".join(words)).split("\n")
    assert lines[0].startswith(lead)
    assert "".join(f"{line[len(lead) :]} " for line in lines).split() == words
    assert all(len(line) <= 72 or len(line[len(lead) :].rpartition(" ")[0]) < 24 for line in lines)
    assert all(line.startswith(" " * len(lead)) for line in lines[1:])


def test_an_address_stays_behind_its_label() -> None:
    link = f"This digest on the web: https://me.example.org/{'x' * 40}"
    assert wrapped(f"{link} and some words more") == f"{link}\nand some words more"
    assert wrapped(f"  The code of it all is to be found at {link[24:]}").split("\n") == [
        "  The code of it all is to be found at",
        f"  {link[24:]}",
    ]


def test_columns_are_counted_as_a_terminal_shows_them() -> None:
    title = "• 说话人脸的合成：一种基于移动窗口的方法，附带" + "很长的说明" * 12 + "。End"
    lines = wrapped(f"short\n{title}\nlast").split("\n")
    assert (lines[0], lines[-1]) == ("short", "last")
    assert "".join(line.removeprefix("  ") for line in lines[1:-1]) == title
    assert all(70 <= cell_len(line) <= 72 for line in lines[1:-2])
    assert not any(line.lstrip().startswith(("，", "。", "：")) for line in lines)


def test_what_a_plain_text_prints_has_no_line_break_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "a.txt.j2", "{{ value }}|{{ value | upper }}\n")
    assert render(environment(tmp_path), "a.txt.j2", value="a\nb\r\n  c\u2028d") == "a b c d|A B C D\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://papers.example/abs/1?a=1&b=2#c", "https://papers.example/abs/1?a=1&b=2#c"),
        (" http://papers.example ", "http://papers.example"),
        ('https://papers.example/"><script>', "https://papers.example/%22%3E%3Cscript%3E"),
        ("https://papers.example/straße", "https://papers.example/stra%C3%9Fe"),
        ("HTTPS://papers.example/", "https://papers.example/"),
        ("https://papers.example/a[1]%zz%20", "https://papers.example/a%5B1%5D%25zz%20"),
        ("http://[2001:db8::1]:80/a", "http://[2001:db8::1]:80/a"),
        ("https://papers.example/a%20b", "https://papers.example/a%20b"),
        ("javascript:alert(1)", ""),
        ("java\nscript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https:papers.example", ""),
        ("//papers.example", ""),
        ("http://[papers", ""),
        ("https://papers.example/a\r\nb", ""),
        ("https://papers.example/a\tb", ""),
        ("https://papers.example/\x00", ""),
        ("https://papers.example/\ud800", ""),
        ("https://papers.example/" + "a" * 2000, ""),
        ("", ""),
        (None, ""),
    ],
)
def test_only_web_addresses_become_links(url: str | None, expected: str) -> None:
    assert http_url(url) == expected


def test_a_paper_without_address_is_reached_by_its_doi_or_searched_for_by_its_title() -> None:
    assert page(paper(url=None, doi="10.5555/a<b>#1")) == "https://doi.org/10.5555/a%3Cb%3E%231"
    assert page(paper(url=None, doi="10.5555/\ud800")) == "https://doi.org/10.5555/%3F"
    nowhere = paper(title='Swin & "x"\n\ud800', url="javascript:x", doi=None, pdf_url=None)
    assert links(nowhere)[0] == ("Search", "https://scholar.google.com/scholar?q=Swin%20%26%20%22x%22")
    assert links(paper(code_url="https://code.example/x", code_stars=0, pdf_url=None))[-1] == (
        "Code ★ 0",
        "https://code.example/x",
    )
    assert links(paper(code_url="https://code.example/x"))[-1][0] == "Code"


@pytest.mark.parametrize(
    ("authors", "count", "organization", "expected"),
    [
        (("A", "B", "C", "D"), None, None, ("A, B, C, D", "")),
        (("A", "B", "C", "D", "E"), None, None, ("A, B, C", " and 2 more")),
        (("A",), 3, None, ("A", " and 2 more")),
        (("A", "B"), None, "Lab", ("A, B", " · Lab")),
        ((), 7, None, ("", "7 authors")),
        ((), 1, "Lab", ("", "1 author · Lab")),
        ((), None, "Lab", ("", "Lab")),
        ((), None, None, ("", "")),
    ],
)
def test_authors_are_named_or_counted(
    authors: tuple[str, ...], count: int | None, organization: str | None, expected: tuple[str, str]
) -> None:
    assert byline(paper(authors=authors, author_count=count, organization=organization)) == expected


def test_a_source_is_named_once_with_its_highest_numbers() -> None:
    item = paper()
    listings = (
        Listing(item, "huggingface", date(2026, 11, 18), 3, upvotes=12, comments=1),
        Listing(item, "arxiv", date(2026, 11, 18), 90),
        Listing(item, "huggingface", date(2026, 11, 19), 1, upvotes=41, comments=None),
    )
    assert badges(Recommendation(item, listings, 1.0, ())) == ("Hugging Face · ▲ 41 · 1 comment", "arXiv")
    line = facts(Recommendation(item, listings, 1.0, ()))
    assert line.replace("\u00a0", "_") == "18_Nov_2026 · Hugging Face · ▲_41 · 1_comment · arXiv"
    assert source_label("my-own_feed") == "My Own Feed"


def test_a_paper_bears_the_day_it_was_published_or_else_listed_first() -> None:
    item = paper(published=None)
    listings = tuple(Listing(item, "arxiv", day, 0) for day in (None, date(2026, 11, 19), date(2026, 11, 18)))
    assert dated(Recommendation(item, listings, 1.0, ())) == "18 Nov 2026"
    assert dated(Recommendation(item, listings[:1], 1.0, ())) == "undated"
    assert dated(Recommendation(paper(published=date(2026, 11, 2)), listings, 1.0, ())) == "2 Nov 2026"


def test_the_heartbeat_counts_every_matched_paper() -> None:
    one = digest(Section("Swin", (swin(1),)), Section("Empty", ()))
    assert heartbeat(one) == "1 paper of 412 · Swin 1"
    more = digest(
        Section("Swin", (swin(1), swin(2))), Section("Face", (swin(3),)), overflow=(swin(4), swin(5))
    )
    assert heartbeat(more) == "5 papers of 412 · Swin 2 · Face 1 · 2 by title"
    assert heartbeat(digest()) == "No new papers among 412"
    assert heartbeat(replace(digest(), scanned=0)) == "No new papers"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (None, ""),
        (24, ""),
        (35, ""),
        (72, "These 3 days at once, since 17 Nov 2026"),
        (170, "These 7 days at once, since 13 Nov 2026"),
    ],
)
def test_a_digest_says_when_it_catches_up(hours: int | None, expected: str) -> None:
    since = None if hours is None else ISSUED - timedelta(hours=hours)
    assert catching_up(digest(Section("Swin", (swin(1),)), since=since)) == expected
    assert catching_up(digest(since=since)) == ""


@pytest.mark.parametrize(
    ("complete", "failed", "hours", "expected"),
    [
        (1, 0, 24, "source complete · 1 day"),
        (2, 0, 24, "both sources complete · 1 day"),
        (3, 0, 5, "all 3 sources complete · 1 day"),
        (2, 2, 72, "2 of 4 sources complete · 3 days"),
        (0, 1, None, "0 of 1 source complete"),
        (0, 0, None, ""),
    ],
)
def test_a_digest_says_what_it_rests_on(complete: int, failed: int, hours: int | None, expected: str) -> None:
    reports = [SourceReport("a", PERIOD, complete=True)] * complete
    reports += [SourceReport("b", PERIOD, complete=False)] * failed
    since = None if hours is None else ISSUED - timedelta(hours=hours)
    assert coverage(digest(since=since, reports=tuple(reports))) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((), "Could not be read: arXiv. Read in part: bioRxiv. What is missing comes when it can be read."),
        (("arxiv",), "Read in part: bioRxiv. What is missing comes when it can be read."),
        (("arxiv", "biorxiv"), ""),
        (
            ("arxiv", "biorxiv", "huggingface", "gone"),
            "Read in full again, with what was missing: Hugging Face.",
        ),
    ],
)
def test_a_source_that_fails_is_named_once_and_once_again_when_it_is_back(
    told: tuple[str, ...], expected: str
) -> None:
    reports = (
        SourceReport("arxiv", PERIOD, complete=False, error="no answer"),
        SourceReport("biorxiv", PERIOD, complete=False),
        SourceReport("huggingface", PERIOD, complete=True),
    )
    issue = replace(digest(reports=reports), told=told)
    assert changes(issue) == expected
    assert coverage(issue).startswith("1 of 3 sources complete")
    assert {report.source for report in gaps(issue)} == {"arxiv", "biorxiv"} - set(told)


def test_dates_do_not_depend_on_the_locale() -> None:
    assert weekday(date(2026, 3, 1)) == "Sunday, 1 March 2026"


def test_public_addresses_are_joined_below_the_base() -> None:
    assert (
        joined("https://me.example/digest/", "feeds", "a b", "x.xml")
        == "https://me.example/digest/feeds/a%20b/x.xml"
    )
    assert joined(None, "feeds") == joined("ftp://me.example", "feeds") == ""
