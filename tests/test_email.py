"""The mail reads back as it was meant, and holds every paper in both parts."""

from __future__ import annotations

import binascii
import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from digests import (
    HOSTILE,
    PERIOD,
    SLOT,
    addresses,
    chosen,
    digest,
    elements,
    hostile,
    match,
    paper,
    profile,
    sample,
    seen,
    swin,
    talking,
)
from hypothesis import given
from hypothesis import strategies as st

from digest.core.frame import Finish, Frame, Kept, Piece, text_mark
from digest.core.lines import one_line
from digest.core.mailbox import Mailbox
from digest.core.message import assemble, quoted_printable
from digest.core.model import Channel, Digest, PaperId, Profile, Section, SectionKind, SourceReport
from digest.errors import RenderError
from digest.render import WIDTH, environment, wrapped
from digest.render.email import BUDGET, EmailRenderer, mailbox, subject

BASE = "https://me.example.org/digest"
SENDER = "Digest <digest@example.org>"
READER = "Rea Der <reader@example.org>"
TEMPLATES = environment()  # once: compiling them takes longer than a mail


def renderer(
    *, sender: str = SENDER, base_url: str | None = BASE, folder: Path | None = None
) -> EmailRenderer:
    return EmailRenderer(environment(folder) if folder else TEMPLATES, sender=sender, base_url=base_url)


def read(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=default)


def part(message: EmailMessage, subtype: str) -> str:
    found = message.get_body((subtype,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def many(number: int) -> Digest:
    return digest(
        Section("Talking face", tuple(talking(at) for at in range(number // 2))),
        Section("Swin", tuple(swin(at) for at in range(number // 2, number))),
    )


def test_headers_and_parts_are_as_mail_programs_want_them() -> None:
    message = read(renderer().compose(profile(), sample(), READER))
    assert [str(value) for value in message.values()][:4] == [
        SENDER,
        READER,
        "6 papers: Talking face 1, Swin 3, 2 by title",
        "Fri, 20 Nov 2026 06:00:04 +0000",
    ]
    assert message["List-Id"] == "<swin.digest.example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", message["Message-ID"])
    assert len(message.keys()) == len({name.lower() for name in message.keys()})  # noqa: SIM118 - a message has duplicates
    assert [kind.get_content_type() for kind in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert not [kind.defects for kind in message.walk() if kind.defects]


def test_the_bytes_are_fit_for_every_server() -> None:
    finished = renderer().compose(profile(), sample(), READER)
    assert finished.isascii()
    assert b"\r" not in finished.replace(b"\r\n", b"")
    assert b"\n" not in finished.replace(b"\r\n", b"")
    assert max(map(len, finished.split(b"\r\n"))) <= 78


def test_equal_digests_are_equal_bytes_and_each_reader_has_a_message_of_their_own() -> None:
    first = renderer().compose(profile(), sample(), READER)
    assert renderer().compose(profile(), sample(), READER) == first
    other = renderer().compose(profile(), sample(), "other@example.org")
    assert read(other)["Message-ID"] != read(first)["Message-ID"]


def opinion(profile: str, paper: PaperId, action: str) -> str:
    return f"{BASE}/opinion/{action}/{profile}?paper={paper}"


def stop(profile: str, recipient: str) -> str:
    return f"{BASE}/stop/{profile}?address={quote(recipient)}"


ISSUES = {
    "sample": sample(),
    "hostile": hostile(),
    "nothing": digest(),
    "wanted twice": digest(Section("Swin", (swin(1),)), Section("Talking face", (swin(1), talking(2)))),
    "60": many(60),
    "300": many(300),
}


@pytest.mark.parametrize("links", [{}, {"opinion_link": opinion, "stop_link": stop}], ids=["", "links"])
def test_a_mail_that_is_joined_of_what_others_have_is_the_mail_made_alone(links: dict[str, Any]) -> None:
    def new() -> EmailRenderer:
        return EmailRenderer(environment(), sender=SENDER, base_url=BASE, **links)

    alone = {name: new().compose_plainly(profile(), issue, READER) for name, issue in ISSUES.items()}
    many_readers = new()
    for _ in range(2):  # the second time every card is there already
        for name, issue in ISSUES.items():
            assert many_readers.compose(profile(), issue, READER) == alone[name], name


REPORTS = sample().reports
MANY_READERS = EmailRenderer(
    environment(), sender=SENDER, base_url=BASE, opinion_link=opinion, stop_link=stop
)


@st.composite
def issues(draw: st.DrawFn) -> Digest:
    """A digest in which anything may be there or not."""
    names = st.sampled_from([*HOSTILE, "Swin", "", "  a  b  "])
    kinds: st.SearchStrategy[SectionKind] = st.sampled_from(["section", "related", "second_look"])
    numbers = st.integers(0, 2)
    sections = [
        Section(draw(names), tuple(swin(10 * at + number) for number in range(draw(numbers))), draw(kinds))
        for at in range(draw(numbers))
    ]
    issue = digest(
        *sections,
        since=draw(st.sampled_from([None, SLOT - timedelta(days=1), SLOT - timedelta(days=9)])),
        overflow=tuple(swin(50 + number) for number in range(draw(numbers))),
        near_misses=tuple(
            replace(talking(60 + number), missing=(draw(names),)) for number in range(draw(numbers))
        ),
        reports=tuple(draw(st.lists(st.sampled_from(REPORTS), max_size=3))),
    )
    return replace(
        issue,
        title=draw(names),
        waiting=tuple(swin(70 + number) for number in range(draw(numbers))),
        too_old=draw(numbers),
        told=tuple(draw(st.lists(st.sampled_from([report.source for report in REPORTS]), max_size=2))),
    )


@given(issues(), st.sampled_from([("email",), ("email", "feeds"), ("email", "archive")]))
def test_whatever_is_there_or_not_the_mail_is_the_one_made_alone(
    issue: Digest, channels: tuple[Channel, ...]
) -> None:
    person = profile(channels=channels)
    assert MANY_READERS.compose(person, issue, READER) == MANY_READERS.compose_plainly(person, issue, READER)


def test_a_card_is_that_of_the_paper_as_it_is_now() -> None:
    mail = renderer()
    before, after = (
        swin(1),
        swin(1, abstract="It was written anew, and Swin with it: shifted window."),
    )
    for item in (before, after, replace(after, note="lip: a word of Talking face papers"), before):
        issue = digest(Section("Swin", (item,)))
        finished = mail.compose(profile(), issue, READER)
        assert finished == renderer().compose_plainly(profile(), issue, READER)
        assert one_line(item.paper.abstract) in seen(part(read(finished), "html"))
        assert item.note in seen(part(read(finished), "html"))


def test_a_users_template_may_put_cards_anywhere(tmp_path: Path) -> None:
    (tmp_path / "email.html.j2").write_text(
        "<title>{{ title | upper }}</title>"
        "{% for section in sections %}<div>{{ section.cards }}</div>{% endfor %}"
    )
    (tmp_path / "email_card.txt.j2").write_text("{{ paper.title }}{{ '!' * 90 }}")
    mail = renderer(folder=tmp_path)
    finished = mail.compose(profile(), sample(), READER)
    assert finished == mail.compose_plainly(profile(), sample(), READER)
    assert part(read(finished), "html").count("<div>") == 2
    more = many(200)
    assert mail.compose(profile(), more, READER) == mail.compose_plainly(profile(), more, READER)
    assert max(map(len, finished.split(b"\r\n"))) <= 78


def test_a_template_that_gives_nothing_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "email.html.j2").write_text("\n")
    with pytest.raises(RenderError, match=r"templates/email\.html\.j2: the template gives nothing"):
        renderer(folder=tmp_path).compose(profile(), sample(), READER)


def test_a_paper_by_title_says_why_where_its_title_does_not() -> None:
    item = paper(5, title="A Field of Lamps")
    found = chosen(item, match(item, "Swin", field="abstract"))
    issue = digest(overflow=(found, swin(6)))
    mail = renderer()
    assert "A Field of Lamps Swin in abstract Swin Lanterns 6" in seen(mail.html(profile(), issue))
    assert "• A Field of Lamps\n  “Swin” in abstract\n  https://" in mail.text(profile(), issue)
    assert mail.text(profile(), issue).count("“Swin”") == 1


def test_a_card_has_no_score_because_readers_share_it(tmp_path: Path) -> None:
    (tmp_path / "email_card.html.j2").write_text("\n{{ item.score }}")
    with pytest.raises(RenderError, match=r"email_card\.html\.j2:2: .* has no attribute 'score'"):
        renderer(folder=tmp_path).compose(profile(), sample(), READER)


@pytest.mark.parametrize("base", ["https://me.example.org/d", "http://me.example.org/d"])
def test_a_mail_can_be_stopped_only_where_that_works(base: str) -> None:
    def stop(profile: str, recipient: str) -> str:
        return f"{base}/stop/{profile}?token=abc&address={quote(recipient)}"

    assert "List-Unsubscribe" not in read(renderer().compose(profile(), sample(), READER))
    mail = EmailRenderer(environment(), sender=SENDER, base_url=BASE, stop_link=stop)
    finished = mail.compose(profile(), sample(), "reader@example.org")
    link = f"{base}/stop/swin?token=abc&address=reader%40example.org"
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in finished  # on one line
    one_click = "List-Unsubscribe=One-Click" if base.startswith("https") else None
    assert read(finished)["List-Unsubscribe-Post"] == one_click
    assert link in addresses(part(read(finished), "html"))
    assert f"Stop this mail: {link}" in one_line(part(read(finished), "plain"))
    other = mail.compose(profile(), sample(), "other@example.org")
    assert b"reader%40" not in other
    assert "stop" not in mail.text(profile(), sample()).lower().replace("change or stop", "")


def test_several_readers_get_a_message_each_whatever_their_names() -> None:
    readers = (
        "Doe, Jane <jane@example.org>",
        "Zoë Ünïcode-Strauß <zoe@example.org>",
        "مريم الأندلسية <maryam@example.org>",
        "שרה כהן, PhD <sarah@example.org>",
        "山田 太郎 <taro@example.org>",
        '"Quote \\"Q\\" Smith" <q@example.org>',
        "plain@example.org",
    )
    mail = renderer()
    found = [read(mail.compose(profile(), sample(), reader)) for reader in readers]
    named = [message["To"].addresses for message in found]
    assert [len(boxes) for boxes in named] == [1] * len(readers)
    expected = [mailbox(reader, "To") for reader in readers]
    assert [Mailbox(box.display_name, box.addr_spec) for (box,) in named] == expected
    assert len({message["Message-ID"] for message in found}) == len(readers)


@pytest.mark.parametrize("base_url", [BASE, None])
def test_both_parts_hold_every_paper_and_every_link(base_url: str | None) -> None:
    mail = renderer(base_url=base_url)
    issue = sample()
    text, html = mail.text(profile(), issue), mail.html(profile(), issue)
    hrefs = set(addresses(html))
    assert hrefs == set(re.findall(r"https?://\S+", text))
    plain = one_line(text.replace("*", ""))
    for item in (*issue.recommendations, *issue.overflow, *issue.near_misses):
        assert item.paper.title in plain
        assert item.paper.title in seen(html)
    for item in issue.recommendations:
        assert one_line(item.paper.abstract) in plain
        assert one_line(item.paper.abstract) in seen(html)
    assert any(BASE in href for href in hrefs) == bool(base_url)


def test_the_first_line_that_is_seen_is_the_heartbeat() -> None:
    mail = renderer()
    told = "6 papers of 412 · Talking face 1 · Swin 3 · 2 by title · 1 of 3 sources complete · 7 days "
    assert one_line(mail.text(profile(), sample())).startswith(told)
    assert seen(mail.html(profile(), sample())).startswith(told)


def test_evidence_is_marked_and_named_in_both_parts() -> None:
    mail = renderer()
    html, text = mail.html(profile(), sample()), mail.text(profile(), sample())
    assert re.search(r"Whisper to Wink: <mark[^>]*>Talking Face</mark> Synthesis", html)
    assert "Whisper to Wink: *Talking Face* Synthesis" in text
    assert (
        "Why: talking face in title and abstract, Swin in title, lip sync in abstract · Also for Swin"
        in seen(html)
    )
    assert "Why: “talking face” in title and abstract" in text
    assert "Also for Swin" in text


def test_silence_and_failure_are_told_apart() -> None:
    mail = renderer()
    failing = digest(reports=(SourceReport("arxiv", PERIOD, complete=False, error="no answer"),))
    assert subject(digest()) == "No new papers among 412"
    assert subject(failing) == "No new papers among 412, not all sources were read"
    for shown in (mail.text(profile(), failing), seen(mail.html(profile(), failing))):
        assert "No new papers among 412" in shown
        assert "Could not be read: arXiv." in shown
        assert "arXiv: could not be read: no answer" in shown
    assert "Could not be read" not in mail.text(profile(), digest())


def test_a_subject_stays_short() -> None:
    sections = [Section(f"Interest {at} " + "very " * 30, (swin(at),)) for at in range(9)]
    said = subject(digest(*sections))
    assert said.startswith("9 papers: Interest 0 very")
    assert said.endswith("… 1, and more")
    assert len(said) < 480
    assert subject(digest(Section("Swin", (swin(1),)))) == "1 paper: Swin 1"


def test_the_day_is_the_readers_own() -> None:
    late = digest(issued_at=SLOT.replace(hour=23, minute=30))
    assert "Saturday, 21 November 2026" in renderer().text(profile(), late)
    anytime = Profile(name="any", title="Any", interests=())
    assert "Friday, 20 November 2026" in renderer().text(anytime, late)


def test_only_what_is_published_is_linked() -> None:
    mail = renderer()
    only_mail = profile(channels=("email",))
    assert BASE not in mail.html(only_mail, sample())
    assert BASE not in mail.text(only_mail, sample())
    assert "profiles/swin.toml" in mail.text(only_mail, sample())


@pytest.mark.parametrize("number", [30, 60, 300])
@pytest.mark.parametrize("base_url", [BASE, None])
def test_many_papers_stay_within_the_budget_and_nothing_is_dropped_in_silence(
    number: int, base_url: str | None
) -> None:
    mail = renderer(base_url=base_url)
    issue = many(number)
    html, text = mail.html(profile(), issue), mail.text(profile(), issue)
    assert len(html.encode()) <= BUDGET
    assert len(re.findall(r"papers\.example/abs/", text)) == number
    shown = {address for address in addresses(html) if "/abs/" in address}
    more = re.search(r"and (\d+) more", seen(html).partition("Also matched")[2])
    assert len(shown) + (int(more[1]) if more else 0) == number
    left_out = "…" in html or "Also matched" in html
    assert ("To keep this mail whole" in seen(html)) == ("To keep this mail whole" in text) == left_out
    assert ("The archive has everything." in text) == (left_out and bool(base_url))
    assert not more or ("archive page" if base_url else "named in the plain text") in seen(html)


def test_a_list_of_titles_that_is_too_long_ends_in_a_number() -> None:
    mail = renderer()
    issue = digest(
        Section("Swin", tuple(swin(at) for at in range(40))),
        overflow=tuple(swin(at) for at in range(40, 900)),
    )
    html = mail.html(profile(), issue)
    assert len(html.encode()) <= BUDGET
    more = re.search(r"and (\d+) more, on the archive page", seen(html))
    assert more
    shown = {number for number in range(900) if f"abs/2611.{number:05}" in html}
    assert len(shown) == 900 - int(more[1])
    assert html.count("<h3") == 40
    text = mail.text(profile(), issue)
    assert all(f"abs/2611.{number:05}" in text for number in range(900))


def test_no_interest_vanishes_and_the_overflow_is_cut_before_what_was_chosen() -> None:
    sections = [
        Section(f"Interest {at}", tuple(swin(100 * at + number) for number in range(size)))
        for at, size in enumerate((60, 4, 0, 60))
    ]
    issue = digest(*sections, overflow=tuple(swin(at) for at in range(900, 960)))
    mail = EmailRenderer(environment(), sender=SENDER, base_url=BASE, opinion_link=opinion)
    html = mail.html(profile(), issue)
    assert len(html.encode()) <= BUDGET
    first, second, fourth = re.split("<h2", html)[1:4]
    assert [part.count("<h3") for part in (first, fourth)] == [first.count("<h3")] * 2
    assert first.count("<h3") >= 10
    assert second.count("<h3") == 4
    assert first.count("<h3") + first.count("<li") == fourth.count("<h3") + fourth.count("<li") == 60
    said = re.search(r"(\d+) papers are shown by title\.", seen(html))
    assert said
    assert int(said[1]) == 124 - html.count("<h3")
    more = re.search(r"and (\d+) more", seen(html))
    assert more
    listed = html.count("<li") - 1 - int(said[1])
    assert int(more[1]) == 60 - listed
    text = mail.text(profile(), issue)
    assert len(set(re.findall(r"https://papers\.example/abs/\S+", text))) == 184


def test_a_giant_abstract_does_not_swell_the_mail() -> None:
    item = paper(abstract="swin " * 200_000)
    issue = digest(Section("Swin", (chosen(item, match(item, "swin", field="abstract")),)))
    assert len(renderer().compose(profile(), issue, READER)) < 2 * BUDGET


def test_titles_beyond_all_measure_still_give_a_mail() -> None:
    bulky = [
        swin(at, title=f"Swin {at} " + "é&" * 3000, url="https://papers.example/" + "é" * 300)
        for at in range(300)
    ]
    html = renderer().html(profile(), digest(Section("Swin", tuple(bulky))))
    assert len(html.encode()) <= BUDGET
    assert re.search(r"and \d+ more", seen(html))


def test_hostile_papers_are_harmless_and_whole() -> None:
    mail = renderer()
    issue = hostile()
    message = read(mail.compose(profile(), issue, READER))
    assert "Bcc" not in message
    html, text = part(message, "html"), part(message, "plain")
    assert not {tag for tag, _ in elements(html)} & {"script", "img", "iframe", "form"}
    assert not [address for address in addresses(html) if not address.startswith(("https://", "http://"))]
    assert "javascript:" not in text
    assert "49" not in seen(html)
    for hostile_text in HOSTILE:
        assert one_line(hostile_text) in seen(html)
        assert one_line(hostile_text) in one_line(text.replace("*Tail*", "Tail"))
    assert len(re.findall(r"<mark[^>]*>Tail</mark>", html)) == 2 * len(HOSTILE)


def test_a_users_template_without_a_final_line_end_is_sent_whole(tmp_path: Path) -> None:
    (tmp_path / "email.txt.j2").write_text("{{ digest.title }}: {{ sections | length }}", encoding="utf-8")
    message = read(renderer(folder=tmp_path).compose(profile(), sample(), READER))
    assert part(message, "plain") == "Vision transformers and faces: 2\n"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("me@example.org", Mailbox("", "me@example.org")),
        ("<me@example.org>", Mailbox("", "me@example.org")),
        ("Me <me@example.org>", Mailbox("Me", "me@example.org")),
        ("Doe, Jane <me@example.org>", Mailbox("Doe, Jane", "me@example.org")),
        ('"Doe, \\"J\\" Jane" <me@example.org>', Mailbox('Doe, "J" Jane', "me@example.org")),
        ("Zoë Ünïcode <me@bücher.example>", Mailbox("Zoë Ünïcode", "me@xn--bcher-kva.example")),
        ("=?utf-8?q?x?= <me@example.org>", Mailbox("= ?utf-8?q?x?=", "me@example.org")),
        ("Me\r\nBcc: eve@example.net <me@example.org>", Mailbox("Me Bcc: eve@example.net", "me@example.org")),
    ],
)
def test_mailboxes_are_read_as_people_write_them(setting: str, expected: Mailbox) -> None:
    assert mailbox(setting, "To") == expected


@pytest.mark.parametrize(
    "setting", ["", "me", "me@", "@example.org", "a@b@c", "ö@example.org", "a b@example.org", "a@b..c"]
)
def test_what_is_no_mailbox_is_refused(setting: str) -> None:
    with pytest.raises(RenderError, match=r"To: .* is no mail address"):
        mailbox(setting, "To")


ANY_TEXT = st.one_of(
    st.text(max_size=120),
    st.sampled_from(HOSTILE),
    st.text(alphabet='é"\\\\,;:@(). a', min_size=60, max_size=120),
)


@given(title=ANY_TEXT, sender=ANY_TEXT, reader=ANY_TEXT)
def test_any_title_and_name_read_back_as_they_were_meant(title: str, sender: str, reader: str) -> None:
    issue = digest(Section(title, (swin(1),)))
    settings = {
        "From": re.sub(r"[<>]", "", sender) + " <digest@example.org>",
        "To": re.sub(r"[<>]", "", reader) + " <reader@example.org>",
    }
    finished = renderer(sender=settings["From"], base_url=None).compose(profile(), issue, settings["To"])
    assert str(read(finished)["Subject"]) == subject(issue)
    assert len(read(finished).keys()) == 10
    for name, setting in settings.items():
        # Read by the older parser: Python 3.11's newer one puts a space between encoded words.
        display, address = parseaddr(message_from_bytes(finished)[name].replace("\r\n", ""))
        assert Mailbox(str(make_header(decode_header(display))), address) == mailbox(setting, name)
        assert [box.addr_spec for box in read(finished)[name].addresses] == [address]


def test_a_message_that_would_not_read_back_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digest.render.email._harmless", lambda text: text)
    issue = digest(Section("=?utf-8?q?a=0ABcc:_x=40y?=", (swin(1),)))
    with pytest.raises(RenderError, match="does not read back as it was meant: Subject"):
        renderer().compose(profile(), issue, READER)
    with pytest.raises(RenderError, match="does not read back as it was meant: Subject"):
        renderer().compose(profile(), digest(Section("=?utf-8?b?a?=", (swin(1),))), READER)


_LINES = st.lists(
    st.text(alphabet=st.sampled_from("ab. =\t\r\x01\x7f·é漢😀"), max_size=20).flatmap(
        lambda text: st.integers(1, 9).map(lambda times: text * times)
    ),
    max_size=6,
)


@given(_LINES)
def test_quoted_printable_is_that_of_the_standard_library(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines) or "\n"
    assert quoted_printable(text) == binascii.b2a_qp(text.replace("\n", "\r\n").encode())


_SHORT = st.text(alphabet=st.sampled_from("ab. =\t·é\n"), max_size=9)


@given(
    st.lists(st.tuples(_SHORT, st.sampled_from(["<p>", "", "\n", " ", '<a style="x">' * 6, "é=", ".\n"]))),
    st.integers(0, 90),
    st.sampled_from([None, Finish(wrapped, WIDTH)]),
)
def test_lines_that_are_encoded_in_part_are_those_encoded_whole(
    parts: list[tuple[str, str]], column: int, finish: Finish | None
) -> None:
    texts = [text for text, _ in parts]
    template = "x" * column + "".join(f"{text_mark(n)}{static}" for n, (_, static) in enumerate(parts))
    frame = Frame(template, finish)
    whole = frame.text(texts)
    assert b"".join(frame.encoded(texts)) == quoted_printable(whole)
    if finish is None:
        filled = "x" * column + "".join(text + static for text, static in parts)
        assert whole in (filled, f"{filled}\n")


def test_what_pages_have_in_common_is_made_once() -> None:
    kept = Kept(room=20_000)
    frame = Frame(f"first\n{text_mark(0)}\nlast\n{text_mark(1)}", apart=[0])
    one, other = (frame.in_common(texts, kept) for texts in (("a", "b"), ("c", "b")))
    assert (one.text, other.text) == ("first\na\nlast\nb\n", "first\nc\nlast\nb\n")
    assert [a is b for a, b in zip(one.encoded, other.encoded, strict=True)] == [True, False, True]


def test_mails_of_many_days_are_composed_by_one_process() -> None:
    mail = renderer()
    issues = [replace(sample(), slot=sample().slot + timedelta(number)) for number in range(600)]
    for issue in (*issues, issues[0]):  # what was filled in for a day is forgotten when there are many
        finished = mail.compose(profile(), issue, READER)
    assert finished == mail.compose_plainly(profile(), issues[0], READER)


def test_what_is_kept_has_a_size_and_what_is_asked_for_again_stays_longest() -> None:
    kept = Kept(room=20_000)
    for number in range(100):
        kept.put(number, Piece(f"{number}"))
        assert kept.get(0) is not None
    assert kept.get(1) is None
    assert sum(kept.get(number) is not None for number in range(100)) <= 40


_HEADER = st.text(alphabet=st.sampled_from('aB9 .-<>@"(),:;=?\\\r\n\té·'), max_size=30)


@given(st.one_of(_HEADER, st.builds(Mailbox, _HEADER, _HEADER)), st.sampled_from(["To", "Subject", "X-a"]))
def test_no_header_is_given_that_a_stranger_would_read_in_another_way(
    value: str | Mailbox, name: str
) -> None:
    try:
        message = assemble({name: value}, {}, key="k")
    except RenderError:
        return
    found = message_from_bytes(message)
    assert list(found.keys()) == [name, "MIME-Version", "Content-Type"]
    read_back = str(found[name]).replace("\r\n", "")
    if isinstance(value, Mailbox):
        display, address = parseaddr(read_back)
        assert Mailbox(str(make_header(decode_header(display))), address) == value
    elif name != "To":
        assert str(make_header(decode_header(read_back))) == value


@given(st.text(alphabet=st.sampled_from("aB9 é漢·😀"), min_size=1, max_size=80).map(one_line).filter(bool))
def test_a_name_of_any_letters_is_given(name: str) -> None:
    message = assemble({"Subject": name, "To": Mailbox(name, "a@b.example")}, {}, key="k")
    assert str(message_from_bytes(message, policy=default)["Subject"]).replace(" ", "") == name.replace(
        " ", ""
    )
