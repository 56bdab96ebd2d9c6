"""Any feed: what it is told from, what is read of it, and how far back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from documents import DATA
from sites import Answer, converse, page, period

from digest.core.model import Paper, Reading, Request
from digest.errors import FetchError, LayoutError
from digest.sources.feed.reader import FeedReader
from digest.sources.feed.source import Feed

URL = "https://lab.example/feed.xml"
READER = FeedReader()


def rss(*items: str, more: str = "") -> str:
    return f'<rss version="2.0"><channel><title>F</title>{more}{"".join(items)}</channel></rss>'


def item(title: str, *, day: str | None = None, more: str = "") -> str:
    dated = f"<pubDate>{day}</pubDate>" if day else ""
    link = f"<link>https://lab.example/{title.replace(' ', '-')}</link>"
    return f"<item><title>{title}</title>{link}{dated}{more}</item>"


def read(content: str | bytes, url: str = URL) -> Reading:
    return READER.read(page(content, url))


def only(content: str | bytes) -> Paper:
    (listing,) = read(content).listings
    return listing.paper


# --- what a feed is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        rss(),
        '\n<?xml version="1.0"?><!-- made by hand --><?xml-stylesheet href="a.css"?>' + rss(),
        '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://x.example/rss.dtd">' + rss(),
        '<!DOCTYPE rss [<!ENTITY a "b">]>' + rss(),
        '<rdf:RDF xmlns="http://purl.org/rss/1.0/"/>',
        '<a:feed xmlns:a="http://www.w3.org/2005/Atom"/>',
        '{"items": [], "version": "https://jsonfeed.org/version/1"}',
    ],
)
def test_every_kind_of_feed_is_recognised(content: str) -> None:
    assert READER.recognises(page(content))
    assert READER.recognises(page(b"\xef\xbb\xbf" + content.encode()))


def test_json_is_a_feed_where_the_server_says_so() -> None:
    assert READER.recognises(page("{}", media_type="application/feed+json"))


@pytest.mark.parametrize(
    "content",
    ["", "\0", "rss", "<html></html>", "{}", "[]", "<rdf:RDF xmlns='http://xmlns.com/foaf/0.1/'/>",
     "<feed />", "<rssx/>", "https://lab.example/feed.xml", "/etc/hostname", "<OAI-PMH/>"],
)  # fmt: skip
def test_other_pages_are_not_recognised(content: str) -> None:
    assert not READER.recognises(page(content))
    with pytest.raises(LayoutError):
        read(content)


def test_a_file_is_never_opened_because_its_path_was_served(tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    feed.write_text(rss(item("Secret")), encoding="utf-8")
    for address in (str(feed), feed.as_uri()):
        with pytest.raises(LayoutError, match="neither RSS, Atom nor JSON Feed"):
            read(address)


def test_a_file_is_never_opened_because_it_is_named_as_a_feed_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = rss(item("One"))
    file = tmp_path / content
    file.parent.mkdir(parents=True)
    file.write_text(rss(item("Secret")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert only(content).title == "One"


def test_a_web_page_in_the_place_of_a_feed_tells_the_address_of_its_feed() -> None:
    link = '<link rel="alternate" href="/rss?a=1&amp;b=2" type="application/rss+xml" title="News">'
    with pytest.raises(LayoutError, match="this is a web page, not a feed") as caught:
        read(f'<!DOCTYPE html><link rel="stylesheet" href="x.css">{link}<p>News')
    assert caught.value.remedy == "The page names its feed: https://lab.example/rss?a=1&b=2"


@pytest.mark.parametrize("href", ["http://[", "javascript:x"])
def test_a_web_page_without_a_usable_address_of_a_feed_says_to_look_for_it(href: str) -> None:
    with pytest.raises(LayoutError, match="Look for the address"):
        read(f"<html><link rel=alternate type='application/atom+xml' href={href}>")


def test_a_login_in_the_place_of_a_feed_is_named() -> None:
    with pytest.raises(LayoutError, match="asks to log in"):
        read("<html><title>Sign in</title>")


# --- what is read of it -----------------------------------------------------------------------


def test_a_feed_without_entries_is_good_and_noted() -> None:
    reading = read(rss())
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ("the feed holds no entries",))


def test_a_feed_whose_entries_all_say_nothing_is_broken() -> None:
    with pytest.raises(LayoutError, match="none of its 2 entries"):
        read(rss("<item/>", "<item><link>https://lab.example/1</link></item>"))


def test_a_feed_cut_short_keeps_its_whole_entries_and_is_incomplete() -> None:
    whole = rss(item("One"), item("Two"), item("Three"))
    reading = read(whole[: whole.index("Three") + 2])
    assert [listing.paper.title for listing in reading.listings] == ["One", "Two"]
    assert not reading.complete
    assert reading.notes == ("the feed is cut short: what follows its last whole entry is missing",)


def test_a_feed_cut_short_within_its_first_entry_is_an_error() -> None:
    with pytest.raises(LayoutError, match="cut short before its first entry ends"):
        read(rss(item("One"))[:60])


@pytest.mark.parametrize(
    "flaw", ["&nbsp;", " & ", "&#x1;", "&#xD83D;", "&#x110000;", f"&#{'9' * 5000};", "&foo;", "\x0b"]
)
def test_a_flaw_in_one_entry_loses_no_entry(flaw: str) -> None:
    reading = read(rss(item("One"), item(f"Two{flaw}words"), item("Three")))
    assert [listing.paper.title[:3] for listing in reading.listings] == ["One", "Two", "Thr"]


def test_what_the_parser_cannot_bear_is_a_layout_error() -> None:
    with pytest.raises(LayoutError, match="too broken"):
        read(rss("<item xmlns:gml='http://www.opengis.net/gml'><gml:pos>1 2</gml:pos></item>"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_an_encoding_is_understood_where_it_is_declared(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + rss(item("Größe"))
    assert only(text.encode(encoding)).title == "Größe"


@pytest.mark.parametrize("encoding", ["punycode", "idna", "utf-7", "utf-16", "cp037", "zlib", "\0"])
def test_an_encoding_that_no_feed_is_in_counts_as_undeclared(encoding: str) -> None:
    assert only(f'<?xml version="1.0" encoding="{encoding}"?>' + rss(item("Größe"))).title == "Größe"


@pytest.mark.parametrize(("byte", "character"), [(b"\x93", "“"), (b"\xe9\x81", "é")])
def test_what_is_not_in_its_encoding_is_read_as_windows_wrote_it(byte: bytes, character: str) -> None:
    before, _, after = rss(item("One?Two")).partition("?")
    assert only(before.encode() + byte + after.encode()).title == f"One{character}Two"


def test_the_characters_that_a_feed_names_are_read_and_what_would_grow_is_left_out() -> None:
    named = '<!ENTITY eacute "&#233;"><!ENTITY dash "–"><!ENTITY all "everything at once">'
    for before in ("<?xml version='1.0'?>", "<?xml version='1.0'?>\n"):
        for title, shown in (("&eacute;t&eacute; &dash; One", "été – One"), ("One &all;", "One &all;")):
            assert only(f"{before}<!DOCTYPE rss [{named}]>" + rss(item(title))).title == shown


LONG = "a" * 65


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        ("<author>Ada Blum</author>", ("Ada Blum",)),
        ("<author><![CDATA[Ada <b>Blum</b>]]></author>", ("Ada Blum",)),
        ("<dc:creator>&#65;da Bl&#252;m</dc:creator>", ("Ada Blüm",)),
        (f"<author>Ada Blum</author><dc:creator>{LONG}</dc:creator>", ("Ada Blum",)),
        (f"<author>{LONG[1:]}</author>", (LONG[1:],)),
        ("<author>Ada<b/>Blum</author><dc:creator>Ida Nagel</dc:creator>", ("Ida Nagel",)),
        ("<author><name><![CDATA[Ida]]></name><x>y</x><z/></author>", ("Ida",)),
        ("<author/><author>Ida Nagel</author>", ("Ida Nagel",)),
        ("</author><author>Ida Nagel</author>", ("Ida Nagel",)),
    ],
)
def test_an_author_written_as_nobody_would_is_left_out_alone(printed: str, names: tuple[str, ...]) -> None:
    feed = rss(item("One", more=f"{printed}<category>tea</category>"))
    paper = only(feed.replace("<rss", '<rss xmlns:dc="http://purl.org/dc/elements/1.1/"', 1))
    assert (paper.authors, paper.keywords) == (names, ("tea",))


def test_a_file_that_was_saved_has_no_address_to_complete_its_links_with() -> None:
    paper = (
        READER.read(page(rss("<item><title>One</title><link>a/b</link></item>"), "file:///feed.xml"))
        .listings[0]
        .paper
    )
    assert paper.url is None


def test_without_a_declaration_text_is_utf_8_however_late_it_stops_being_ascii() -> None:
    reading = read(rss(*(item(f"Number {n}") for n in range(2000)), item("Größe “ja”")))
    assert reading.listings[-1].paper.title == "Größe “ja”"


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        ("Ada Blum, Quirin Stengel and Ida Nagel", ("Ada Blum", "Quirin Stengel", "Ida Nagel")),
        ("Ada Blum & Ida Nagel", ("Ada Blum", "Ida Nagel")),
        ("Blum, Ada; Nagel, Ida", ("Ada Blum", "Ida Nagel")),
        ("Blum, Ada", ("Ada Blum",)),
        ("BLUM, A., Nagel, I.-M., O'Rauch, D. J.", ("A. BLUM", "I.-M. Nagel", "D. J. O'Rauch")),
        ("desk@lab.example", ()),
        ("desk@lab.example (Ada Blum)", ("Ada Blum",)),
        ("desk@lab.org (Ada Blum)", ("Ada Blum",)),
        ("Ada Blum (Lab)", ("Ada Blum (Lab)",)),
        ("Ada Blum, Ada Blum", ("Ada Blum",)),
    ],
)
def test_names_are_told_apart_however_they_are_listed(printed: str, names: tuple[str, ...]) -> None:
    assert only(rss(item("One", more=f"<author>{printed.replace('&', '&amp;')}</author>"))).authors == names


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://arxiv.org/abs/2611.90001v3", "arxiv:2611.90001"),
        ("https://export.arxiv.org/abs/math/0409999", "arxiv:math/0409999"),
        ("https://notarxiv.org/2611.90001", "url:notarxiv.org/2611.90001"),
        ("https://pubmed.ncbi.nlm.nih.gov/99990001/?utm_source=x", "pmid:99990001"),
        ("https://openreview.net/forum?id=Xx12Yy34Zz", "openreview:Xx12Yy34Zz"),
        ("https://openreview.net/group?x=1", "url:openreview.net/group?x=1"),
        ("https://p.example/articles/10.5555/A.1/full", "doi:10.5555/a.1"),
        ("https://p.example/doi/pdf/10.5555/a.1?af=R", "doi:10.5555/a.1"),
        ("https://p.example/article?id=10.5555/a.1&amp;type=printable", "doi:10.5555/a.1"),
        ("https://p.example/10.5555/full", "doi:10.5555/full"),
        ("https://www.p.example/a/?utm_source=rss&amp;page=2", "url:p.example/a?page=2"),
    ],
)
def test_a_link_tells_which_paper_it_is(link: str, expected: str) -> None:
    assert only(rss(f"<item><title>One</title><link> {link} </link></item>")).id == expected


def test_a_guid_that_is_an_address_names_the_paper_and_others_do_not() -> None:
    guid = "<guid>https://lab.example/?p=7</guid>"
    assert only(rss(item("One", more=guid))).id == "url:lab.example?p=7"
    assert only(rss(item("One", more="<guid>tag:lab.example,2026:7</guid>"))).id == "url:lab.example/One"
    assert only(rss("<item><title>One</title><guid>urn:7</guid></item>")).id.startswith("title:")
    assert only(rss(item("One", more="<guid>http://[</guid>"))).id == "url:lab.example/One"


def test_an_address_that_several_entries_have_is_no_papers_own() -> None:
    link = "<link>https://lab.example/current</link>"
    reading = read(rss(*(f"<item><title>{title}</title>{link}</item>" for title in ("One", "Two"))))
    ids = [listing.paper.id for listing in reading.listings]
    assert len(set(ids)) == 2
    assert all(name.startswith("title:") for name in ids)
    assert {listing.paper.url for listing in reading.listings} == {"https://lab.example/current"}


def test_reading_a_feed_again_gives_the_same_papers() -> None:
    content = (DATA / "feed" / "rss20.xml").read_text(encoding="utf-8")
    assert read(content) == read(content)


def test_a_link_loses_what_counts_readers_and_keeps_the_rest() -> None:
    link = "https://www.lab.example/a?id=1&amp;utm_medium=rss#utm_source=x"
    assert (
        only(rss(f"<item><title>One</title><link>{link}</link></item>")).url
        == "https://www.lab.example/a?id=1"
    )
    assert only(rss("<item><title>One</title><link>a#b</link></item>")).url == "https://lab.example/a#b"


def test_a_whole_page_in_a_description_is_cut_to_the_length_of_a_long_abstract() -> None:
    abstract = only(rss(item("One", more=f"<description>{'many words ' * 3000}</description>"))).abstract
    assert 4900 < len(abstract) <= 5002
    assert abstract.endswith("many …")


def test_an_abstract_that_only_repeats_the_title_is_left_empty() -> None:
    assert only(rss(item("One", more="<description>&lt;p&gt;One&lt;/p&gt;</description>"))).abstract == ""


@pytest.mark.parametrize("day", ["0000-00-00", "99999999", "yesterday", ""])
def test_a_date_that_is_none_counts_as_absent(day: str) -> None:
    (listing,) = read(rss(item("One", day=day))).listings
    assert (listing.listed_on, listing.paper.published) == (None, None)


def test_broken_json_is_a_layout_error_and_values_of_another_kind_are_absent() -> None:
    version = '"version": "https://jsonfeed.org/version/1"'
    with pytest.raises(LayoutError, match="JSON is broken"):
        read(f'{{{version}, "items": [')
    assert read(f'{{{version}, "items": "none"}}').notes == ("the feed holds no entries",)
    odd = {
        "title": "One",
        "url": "http://[",
        "authors": ["x", {"name": "desk@lab.example"}],
        "tags": {},
        "attachments": 1,
        "date_published": 1,
    }
    (listing,) = read(f'{{{version}, "items": [{json.dumps(odd)}]}}').listings
    assert listing.paper.id.startswith("title:")
    assert listing.paper.authors == ()
    assert listing.paper.authors == ()


BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    "content",
    [
        f"<!DOCTYPE rss [{BOMB}]>" + rss(item("&l11;")),
        rss("<a>" * 50_000),
        rss("<item>" * 20_000),
        rss(item("<" * 50_000)),
        rss(item("One", more=f"<description>{'&lt;meta ' * 50_000}</description>")),
        "<!--" * 50_000,
        "<!DOCTYPE x [" * 20_000,
        "<html>" + "<link rel='alternate' " * 20_000,
    ],
)
def test_hostile_feeds_are_harmless(content: str) -> None:
    with contextlib.suppress(LayoutError):
        assert len(str(read(content))) < 3 * len(content) + 5000


# --- how far back -----------------------------------------------------------------------------


def collected(
    answers: Mapping[str, Answer], since: str = "2026-11-19T07:00", source: Feed | None = None
) -> tuple[Reading, list[Request]]:
    """What a source makes of a site, and what it asked it for."""
    return converse(source or Feed(url=URL), period(since), lambda request: answers[request.url])


def entry(n: int, when: str) -> str:
    return (
        f"<entry><id>tag:{n}</id><title>Paper {n}</title><link href='https://lab.example/{n}'/>"
        f"<published>{when}Z</published></entry>"
    )


def atom(*entries: str, older: str = "", rel: str = "next") -> str:
    link = f'<link rel="{rel}" href="{older}"/>' if older else ""
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title>{link}{"".join(entries)}</feed>'


def test_a_feed_is_one_request_with_its_own_pace() -> None:
    reading, (request,) = collected({URL: rss(item("One", day="Wed, 18 Nov 2026 08:00:00 GMT"))})
    assert (request.url, request.from_page, request.allow_private) == (URL, False, False)
    assert request.pace is not None
    assert (request.pace.site, request.pace.interval) == ("lab.example", 1.0)
    assert [listing.listed_on for listing in reading.listings] == [date(2026, 11, 18)]
    assert (reading.layout, reading.complete, reading.notes) == ("rss20", True, ())


def test_an_unchanged_feed_counts_as_read() -> None:
    reading, _ = collected({URL: None})
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ())


@pytest.mark.parametrize("rel", ["next", "prev-archive"])
def test_older_pages_are_read_until_one_reaches_back_a_day_before_the_last_reading(rel: str) -> None:
    pages: dict[str, Answer] = {
        URL: atom(entry(1, "2026-11-19T08:00:00"), older="?page=2", rel=rel),
        f"{URL}?page=2": atom(entry(2, "2026-11-12T08:00:00"), older="/feed.xml?page=3", rel=rel),
        f"{URL}?page=3": atom(entry(3, "2026-11-08T08:00:00"), older="?page=4", rel=rel),
    }
    reading, asked = collected(pages, since="2026-11-10T07:00")
    assert [request.url for request in asked] == list(pages)
    assert not any(request.from_page for request in asked)
    assert [(x.paper.title, x.position) for x in reading.listings] == [
        ("Paper 1", 0),
        ("Paper 2", 1),
        ("Paper 3", 2),
    ]
    assert (reading.complete, reading.notes) == (True, ())


def test_a_page_of_another_server_counts_as_named_by_the_feed() -> None:
    other = "http://10.0.0.1/feed.xml?page=2"
    pages = {
        URL: atom(entry(1, "2026-11-20T01:00:00"), older=other),
        other: atom(entry(2, "2026-11-12T08:00:00"), older="?page=3"),
    }
    _, asked = collected(pages)
    assert [request.from_page for request in asked] == [False, True]


def test_a_daily_reading_needs_no_older_page() -> None:
    pages = {URL: atom(entry(1, "2026-11-20T01:00:00"), entry(2, "2026-11-17T01:00:00"), older="?page=2")}
    assert len(collected(pages)[1]) == 1


def test_the_pages_of_a_json_feed_are_read_too() -> None:
    head = '"version": "https://jsonfeed.org/version/1.1"'
    first = '{"title": "One", "date_published": "2026-11-20T01:00:00"}'
    pages = {
        URL: f'{{{head}, "next_url": "?p=2", "items": [{first}]}}',
        f"{URL}?p=2": f'{{{head}, "items": [{{"title": "Two", "date_published": "2026-11-01"}}]}}',
    }
    reading, _ = collected(pages)
    assert [listing.paper.title for listing in reading.listings] == ["One", "Two"]


def test_pages_that_lead_in_a_circle_are_read_once() -> None:
    pages = {URL: atom(entry(1, "2026-11-20T01:00:00"), older=URL)}
    assert len(collected(pages)[1]) == 1


def test_an_undated_feed_is_not_followed() -> None:
    pages = {URL: atom("<entry><id>tag:1</id><title>One</title></entry>", older="?page=2")}
    reading, asked = collected(pages)
    assert (len(asked), reading.notes) == (1, ())


def test_arxiv_has_a_source_of_its_own() -> None:
    with pytest.raises(ValueError, match='kind = "arxiv"'):
        Feed(url="https://rss.arxiv.org/rss/cs.CV")


def test_after_twenty_pages_the_rest_is_left_out_and_said() -> None:
    pages: dict[str, Answer] = {URL: atom(entry(0, "2026-11-20T00:00:00"), older="?page=1")}
    pages |= {
        f"{URL}?page={n}": atom(entry(n, "2026-11-20T00:00:00"), older=f"?page={n + 1}") for n in range(1, 30)
    }
    reading, asked = collected(pages)
    assert (len(asked), len(reading.listings), reading.complete) == (20, 20, True)
    assert reading.notes == (
        "the feed has more than 20 pages since 2026-11-19, and the older ones are left out",
    )


def test_what_was_read_before_a_page_failed_is_kept() -> None:
    gone = FetchError("no answer", place="the site")
    pages: dict[str, Answer] = {
        URL: atom(entry(1, "2026-11-20T01:00:00"), older="?page=2"),
        f"{URL}?page=2": gone,
    }
    reading, _ = collected(pages)
    assert ([x.paper.title for x in reading.listings], reading.complete) == (["Paper 1"], False)
    assert reading.notes == ("page 2 of the feed could not be read: the site: no answer",)


def test_a_feed_that_cannot_be_fetched_or_is_none_raises() -> None:
    with pytest.raises(FetchError):
        collected({URL: FetchError("no answer")})
    with pytest.raises(LayoutError, match="web page"):
        collected({URL: "<html><p>Hello"})


def test_a_feed_cut_short_is_asked_for_again() -> None:
    reading, _ = collected({URL: rss(item("One"), item("Two"))[:-40]})
    assert ([x.paper.title for x in reading.listings], reading.complete) == (["One"], False)


def test_a_feed_that_does_not_reach_back_to_the_last_reading_is_noted() -> None:
    pages = {URL: atom(entry(1, "2026-11-20T01:00:00"), entry(2, "2026-11-15T08:30:00"))}
    reading, _ = collected(pages, since="2026-11-10T07:00")
    assert reading.complete
    (note,) = reading.notes
    assert note.startswith(
        "the feed reaches back to 2026-11-15 08:30 UTC only: papers between 2026-11-10 07:00"
    )


def test_a_feed_of_one_edition_a_day_is_noted_only_when_a_day_is_missing() -> None:
    pages = {URL: atom(entry(1, "2026-11-20T00:00:00"), entry(2, "2026-11-20T00:00:00"))}
    assert collected(pages)[0].notes == ()
    assert len(collected(pages, since="2026-11-18T23:00")[0].notes) == 1


@pytest.mark.parametrize(
    ("given_url", "asked"),
    [
        ("feed://lab.example/a", "https://lab.example/a"),
        ("feed:http://lab.example/a", "http://lab.example/a"),
        (" https://lab.example/a ", "https://lab.example/a"),
    ],
)
def test_an_address_may_be_written_as_browsers_wrote_it(given_url: str, asked: str) -> None:
    _, (request,) = collected({asked: None}, source=Feed("mine", url=given_url, allow_private=True))
    assert request.allow_private


@pytest.mark.parametrize(
    "url", ["", "lab.example/feed", "file:///etc/passwd", "ftp://x.example/", "https://"]
)
def test_an_address_that_cannot_be_fetched_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with https://"):
        Feed(url=url)
