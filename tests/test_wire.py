"""What other programs write, taken with care."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from http_server import Server
from hypothesis import given
from hypothesis import strategies as st
from sites import NOW

from digest.core import wire
from digest.core.model import Page
from digest.errors import LayoutError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def page(content: bytes) -> Page:
    return Page("https://example.org/x", content, None, NOW)


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ("2026-11-20", date(2026, 11, 20)),
        (" 2026-11-20 ", date(2026, 11, 20)),
        ("2026-11-20T23:30:00-05:00", date(2026, 11, 21)),
        ("2026-11-20T23:30:00", date(2026, 11, 20)),
        ("2026-11-20T23:30:00.000Z", date(2026, 11, 20)),
        ("2026-11", date(2026, 11, 1)),
        ("2026-2-3", date(2026, 2, 3)),
        ("2026", None),
        ("2026-13-01", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (20261120, None),
    ],
)
def test_a_day_is_read_in_every_spelling_of_iso_8601(given: object, day: date | None) -> None:
    assert wire.day(given) == day


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (7, 7),
        ("7", 7),
        ("0", 0),
        (-1, None),
        (True, None),
        ("-1", None),
        ("٣", None),
        ("9" * 5000, None),
        (7.0, None),
        (10**18 - 1, 10**18 - 1),
        (10**18, None),
    ],
)
def test_a_number_is_whole_and_not_negative(given: object, number: int | None) -> None:
    assert wire.number(given) == number


def test_there_are_no_more_than_a_database_can_hold() -> None:
    assert [wire.count(number) for number in (0, 2**31 - 1, 2**31, None)] == [0, 2**31 - 1, None, None]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("<p>One</p><p>two</p>", "One two"),
        ("<jats:p>One <jats:italic>two</jats:italic></jats:p>", "One two"),
        ("&lt;i&gt;Drosophila&lt;/i&gt; &amp;amp; friends", "Drosophila &amp; friends"),
        ("H<sub>2</sub>O", "H2O"),
        ('<mml:math xmlns:mml="x"><mml:mi>x</mml:mi></mml:math> rises', "x rises"),
        ("Thinking with <think>", "Thinking with <think>"),
        ("a < b and c > d", "a < b and c > d"),
        ("One<script>alert(1)</script> two<!-- three -->", "One two"),
        ("<img src=x onerror=alert(1)>One", "One"),
        ("", None),
        ("<br/>", None),
        (None, None),
        (["One"], None),
    ],
)
def test_prose_is_the_words_of_a_piece_of_markup(given: object, words: str | None) -> None:
    assert wire.prose(given) == words


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (" https://example.org/\n x ", "https://example.org/x"),
        ("javascript:alert(1)", None),
        ("https://[::1", None),
        ("https:///x", None),
        ("https://example.org/" + "x" * 8000, None),
        (None, None),
    ],
)
def test_an_address_is_of_the_web(given: object, address: str | None) -> None:
    assert wire.web_address(given) == address


@given(JSON)
def test_a_value_of_another_kind_counts_as_absent(value: object) -> None:
    for take in (wire.text, wire.number, wire.entries, wire.table, wire.day, wire.web_address, wire.prose):
        take(value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1,", b"\xff", b"[" * 100_000])
def test_json_that_is_broken_is_no_answer(content: bytes) -> None:
    with pytest.raises(LayoutError, match=r"https://example\.org/x: the JSON is broken or cut short"):
        wire.json_value(page(content))


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>'


@pytest.mark.parametrize("content", [b"", b"<a><b></a>", b"<a>", b"text", b"\xff\xfe", b"<a>&nbsp;</a>"])
def test_xml_that_is_broken_is_no_answer(content: bytes) -> None:
    with pytest.raises(LayoutError, match="the XML is broken or cut short"):
        wire.xml_root(page(content))


def test_xml_is_read_without_its_entities_and_whatever_stands_before_it() -> None:
    assert wire.xml_root(page(b"\n\n<?xml version='1.0'?><a>b<!-- c --></a>")).text == "b"
    for content in (ENTITIES, OUTSIDE):
        assert list(wire.xml_root(page(content)).itertext(tag="x")) == []


def test_a_document_type_is_not_looked_up(tmp_path: Path) -> None:
    (tmp_path / "broken.dtd").write_text("<!ELEMENT")
    with Server() as server:
        for address in ((tmp_path / "broken.dtd").as_uri(), f"http://127.0.0.1:{server.port}/x.dtd"):
            for before in (f'SYSTEM "{address}"', f'[<!ENTITY % p SYSTEM "{address}"> %p;]'):
                content = f"<!DOCTYPE x {before}><x>tea</x>".encode()
                assert wire.xml_root(page(content)).text == "tea"
    assert server.taken == []


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("UTF8", "utf-8"),
        ("Latin1", "iso8859-1"),
        ("gb2312", "gb18030"),
        ("iso-2022-jp", "iso2022_jp"),
        ("punycode", None),
        ("utf-7", None),
        ("zlib", None),
        ("x-y", None),
        ("\0", None),
        ("", None),
        ("utf-8" * 1000, None),
    ],
)
def test_an_encoding_is_one_of_texts(name: str, charset: str | None) -> None:
    assert wire.charset(name) == charset
