"""Bytes that nobody expects, made from bytes that somebody does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

PIECES = (
    # of any text
    b"", b"\0", b"\xff", b"\xff\xfe", "é".encode(), b"\n", b"\n\n", b"\r", b"\r\n ", b" ", b"\t", b"9", b"\\",
    b"http://[", b"//", "\u2028".encode(), "\u0345".encode(), "İ".encode(), b"\xed\xa0\x80",
    "\u202e".encode(),
    b"javascript:alert(1)", b"https://a@b:99999/", b"99999999999999999999", b"1" * 5000, b"-1", b"%", b"%00",
    # of HTML and XML
    *(bytes([byte]) for byte in b"[]{}<>()\"'&;:,.=?/#-+*~^_$`!|@"), b"<!--", b"-->", b"<?xml", b"<![",
    b"<![foo[", b"<![CDATA[", b"]]>", b"&quot;", b"&#xD800;", b"&#0;", b"&x;", b"<h3>", b"<p>", b"</p>",
    b"<div>",
    b"<article>", b"<a href='http://['>", b"<?xml version='1.0' encoding='\xe9'?>", b"<script ", b"</script>",
    b"<style>", b"<svg>", b"<table>", b"<template>", b"<input ", b" a=b", b"<title>", b"<link ", b"href=",
    b'<!DOCTYPE x [<!ENTITY a "b">]>',
    # of feeds
    b"<item>", b"</item>", b"<entry>", b"<link href='[x'/>", b" xml:base='http://[' ",
    b"<content type='xhtml'>",
    b"<guid>http://[</guid>", b"<pubDate>99999</pubDate>", b"<media:thumbnail/>", b"<enclosure/>",
    b"<author>a</author>", b"<author><name/></author>", b"<category>a</category>", b"<category term='a'/>",
    b"<media:keywords>a,", b" a='b'", b" xmlns:a='b'", b'<!ENTITY a "b">', b"<a><![CDATA[b]]></a>",
    b"<dc:date>9999-12-31T23:59:59-23:59</dc:date>", b"<gml:pos>",
    # of JSON
    b"null", b"1e999", b'"\\ud800"', b'"http://["', b'"title":', b"[[]]", b"{}", b'{"a":',
    b'"type":"article",', b'{"":0},', b'"abstract_inverted_index":{"a":[0,1',
    # of mails
    b"=?", b"?=", b"=\n", b"\\\\\n", b"--b\n", b"charset=x-y", b"Content-Transfer-Encoding: base64\n",
    b"; a=b", b'; a="', b"; charset*0*=", b"; boundary*=b", b"\n ", b"<h3><a href='http://scholar_url'>a</a></h3>",
    b"Content-Type: message/rfc822\n", b"Content-Type: multipart/mixed; boundary=b\n", b"Date: ",
    b"----------",
    b"%%--", b"(Jan (",
    # of references
    b"@article{", b"@string{", b"@comment{", b" and ", b"title", b"author", b"year", b"url=", b"TY  - JOUR\n",
    b" TY  -\n", "@\u00fc{a}\n".encode(),
    b"TI  - a\n", b"AU  - ", b"ER  - \n", b"PY  - ", b'"# "',
    # of text copies
    "\n·\n".encode(), b"Oct 3\n", b"7 authors\n", b"Daily Papers\n", b"[-]", b"](", b"![", b"#community)",
    b"### [a](/papers/2611.00001)\n\n", b"https://huggingface.co/login?next=%2Fpapers%2F2611.00001\n",
    # of TeX
    b"\\frac", b"\\emph{", b"{\\bf ", b'\\"{', b"\\left", b"\\begin{a}", b"\\cite{a}", b"\\href{a}{", b"\\(",
    b"\\[", b"$$", b"``", b"''", b"^{", b"_{", b"\\sqrt[", b"&amp;", b"5times",
    # of queries and configurations
    b" AND ", b" OR ", b"NOT ", b"title:", b'"a b"~', b" or ", b" but not ", b"[[sources]]\n", b"a.",
    b"[a]\n",
    b'"""', b"1979-05-27", b"inf", b"0x",
    # of addresses and identifiers
    b"10.1234/a", b")", b"arxiv.org/abs/", b"cs/0701001", b"2611.00001", b"v9", b"PMID: ",
    # of HTTP
    b"HTTP/1.1 302 A\r\n", b"Location: ", b"Retry-After: ", b"Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n",
    b"Age: 999999999\r\n", b"Content-Encoding: gzip\r\n", b"Content-Type: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 1\r\n", b'RateLimit: "a";r=0;t=99\r\n', b"\r\n", b"\r\n\r\n", b"0\r\n",
    b"Host: localhost\n",
    b"Authorization: Basic ", b"/../", b"/t/", b"?token=", b"; q=", b'W/"',
    # of replies
    b"550 5.7.1 ", b"sending quota ", b"mailbox user ", b" exceeded (",
)  # fmt: skip
"""What means something to one reader or another, among it what each was once found to trip over."""

AROUND = tuple(
    (opening, piece, closing)
    for opening, pieces, closing in (
        (b"<author>", (b"a", b"a.", b"a@b.c (", b"<name/>", b"<![CDATA[a]]>"), b"</author>"),
        (b"<category>", (b"a", b"a,", b"&#44;"), b"</category>"),
        (b"<item", (b" a='b'", b" xmlns:a='b'", b"a"), b"/>"),
        (b"Content-Type: text/html", (b"; a=b", b"; charset*0*=a", b";\n a=b"), b"\n"),
        (b'Content-Type: text/html; a="', (b";", b"\\", b"a"), b'"\n'),
        (b"<h3><a href='http://scholar_url'>a</a>", (b"</h3><div>", b"<a>"), b"</h3>"),
        (b'"', (b"a", b"\\u0061", b"a "), b'"'),
        (b"AU  - ", (b"a", b"a,", b" and "), b"\n"),
        (b"author = {", (b"a", b"a and ", b"{a} ", b"\\'a"), b"},\n"),
    )
    for piece in pieces
)
"""What is repeated within what may hold it."""

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf"), "", " ", "\ud800", "\0", "x",
    "9" * 5000, "javascript:alert(1)", "http://[", "https://a b/\u2028", "2026-02-30",
    "0001-01-01T00:00:00+14:00",
    [], [[]], {}, [None], {"": None}, [{}], ["x", 1], {"value": {"value": []}}, "<p>", "10.1234/))))", "٣",
)  # fmt: skip
"""What JSON may hold where something else is expected."""

_TOKEN = re.compile(rb"<[^<>]*>|\n|[^<\n]+|<")
_NUMBER = re.compile(rb"\d+")


def mutated(content: bytes, other: bytes, random: Random) -> bytes:
    """Some bytes, changed in a few ways."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 5, 9))):
        content = random.choice(_WAYS)(content, other, random)
    return content


def _inserted(content: bytes, _: bytes, random: Random) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + random.choice(PIECES) + content[at + random.choice((0, 0, 1, 8, 40)) :]


def _deleted(content: bytes, _: bytes, random: Random) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + content[at + random.choice((1, 2, 9, 100, 1000)) :]


def _doubled(content: bytes, _: bytes, random: Random) -> bytes:
    at = random.randint(0, len(content))
    part = content[at : at + random.choice((1, 3, 20, 300))]
    return content[:at] + part * random.choice((2, 3, 30)) + content[at:]


def _crossed(content: bytes, other: bytes, random: Random) -> bytes:
    at, start = random.randint(0, len(content)), random.randint(0, len(other))
    part = other[start : start + random.choice((4, 40, 400, 4000))]
    return content[:at] + part + content[at + random.choice((0, len(part))) :]


def _flipped(content: bytes, _: bytes, random: Random) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]


def _renumbered(content: bytes, _: bytes, random: Random) -> bytes:
    found = list(_NUMBER.finditer(content, random.randint(0, len(content))))[:50]
    if not found:
        return content
    one = random.choice(found)
    number = random.choice((b"0", b"-1", b"99999", b"2147483648", b"9" * 20, b"9" * 5000, b"1e9", b"00"))
    return content[: one.start()] + number + content[one.end() :]


def _rearranged(content: bytes, _: bytes, random: Random) -> bytes:
    """Tags and lines that stand elsewhere, once more, or not at all."""
    tokens = _TOKEN.findall(content[:200_000])
    for _way in range(random.choice((1, 2, 5)) if tokens else 0):
        at, to = random.randrange(len(tokens)), random.randrange(len(tokens))
        tokens.insert(to, tokens[at] if random.random() < 0.5 else tokens.pop(at))
    return b"".join(tokens)


def _retyped(content: bytes, _: bytes, random: Random) -> bytes:
    """JSON of the right shape with values of the wrong kind."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _inserted(content, b"", random)
    return json.dumps(_with_another(value, random)).encode()


def _with_another(value: Any, random: Random) -> Any:  # noqa: ANN401 - JSON may be anything
    if isinstance(value, dict | list) and value and random.random() < 0.9:
        key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value[key] = _with_another(value[key], random)
        return value
    return random.choice((*VALUES, [value], {"value": value}, [value] * 3))


_WAYS: Sequence[Callable[[bytes, bytes, Random], bytes]] = (
    _inserted, _inserted, _deleted, _doubled, _crossed, _flipped, _renumbered, _rearranged, _retyped,
    _retyped,
)  # fmt: skip
