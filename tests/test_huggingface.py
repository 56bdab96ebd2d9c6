"""Daily Papers, in every form in which they reach us."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from documents import DATA, check, pairs, read
from hypothesis import given
from hypothesis import strategies as st
from sites import ONE_DAY, Answer, converse, page, period, talk

from digest.core.document import reading_document
from digest.core.model import Period, Reading
from digest.errors import FetchError, LayoutError, SourceError
from digest.sources.huggingface import HuggingFace, HuggingFaceReader

ROOT = Path(__file__).resolve().parent.parent
READER = HuggingFaceReader()


def saved(name: str) -> str:
    return (DATA / "huggingface" / name).read_text(encoding="utf-8")


def test_real_text_copies_read_as_their_documents_say(shared: Path) -> None:
    copies = pairs(shared / "fixtures" / "hf_text")
    assert len(copies) == 3
    for path, expected in copies:
        check(read(path), expected)


def numbers(reading: Reading) -> set[str]:
    return {listing.paper.id for listing in reading.listings}


def test_the_real_page_of_a_day_holds_all_that_its_api_answer_holds(shared: Path) -> None:
    html = READER.read(page((shared / "fixtures/hf_html/2024-08-01_daily_full.html").read_bytes()))
    api = READER.read(page((shared / "fixtures/hf_api/daily_papers_date_2024-08-01.json").read_bytes()))
    assert (len(html.listings), len(api.listings)) == (13, 11)
    assert numbers(api) < numbers(html)
    assert html.captured_on == date(2024, 8, 1)
    assert {listing.listed_on for listing in html.listings} == {date(2024, 8, 1)}


def test_the_cards_of_the_real_page_agree_with_its_data(shared: Path) -> None:
    content = (shared / "fixtures/hf_html/2024-08-01_daily_full.html").read_text(encoding="utf-8")
    props = READER.read(page(content))
    cards = READER.read(page(content.replace("dailyPapers&quot;:", "somethingNew&quot;:")))
    assert (props.layout, cards.layout) == ("data-props", "cards")
    assert cards.captured_on == props.captured_on

    def printed(reading: Reading) -> list[tuple[object, ...]]:
        return [
            (item.paper.id, item.paper.title, item.upvotes, item.comments or 0, item.listed_on)
            for item in reading.listings
        ]

    assert printed(cards) == printed(props)


def test_every_row_of_the_real_api_answers_is_read(shared: Path) -> None:
    for path in sorted((shared / "fixtures" / "hf_api").glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        reading = READER.read(page(path.read_bytes(), path.as_uri()))
        assert len(reading.listings) == (len(rows) if isinstance(rows, list) else 1), path.name
        assert reading.notes == ()
        assert all(item.paper.abstract and item.paper.authors for item in reading.listings)


def test_the_real_trending_page_gives_each_paper_once(shared: Path) -> None:
    (path,) = (shared / "fixtures" / "hf_html").glob("*trending*")
    reading = READER.read(page(path.read_bytes()))
    game, vision = reading.listings
    assert (game.paper.id, game.upvotes, game.paper.code_stars) == ("arxiv:2609.25001", 132, 561)
    assert (vision.paper.id, vision.paper.published) == ("arxiv:2606.03748", date(2026, 6, 2))
    assert (game.paper.organization, vision.paper.organization) == ("Tencent", "Ultralytics")


def test_the_real_captures_keep_numbers_and_votes(shared: Path) -> None:
    folder = shared / "fixtures" / "hf_html"
    (notebook,) = folder.glob("*notebook*")
    (markdown,) = folder.glob("*firecrawl*")
    exported, crawled = (READER.read(page(path.read_bytes())) for path in (notebook, markdown))
    assert [item.upvotes for item in exported.listings] == [1, 0, 19, 5]
    assert [item.upvotes for item in crawled.listings] == [101, 0, 1, 0]
    assert exported.captured_on == date(2026, 3, 25)
    assert crawled.captured_on == date(2026, 10, 2)
    assert all(item.paper.abstract and item.paper.published for item in exported.listings + crawled.listings)


@pytest.mark.parametrize(
    "name", ["text-a.txt", "text-b.txt", "notebook.txt", "markdown.md", "cards.html", "api.json"]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.rstrip().encode(),
        lambda text: f"{text}\n\n  \n".encode(),
    ],
    ids=["CR LF", "CR", "byte order mark", "UTF-16", "no last line end", "more line ends"],
)
def test_how_lines_end_and_text_is_stored_does_not_matter(name: str, change: Callable[[str], bytes]) -> None:
    assert READER.read(page(change(saved(name)))) == READER.read(page(saved(name)))


def test_the_sample_page_tells_the_same_by_its_data_and_by_its_cards() -> None:
    content = (ROOT / "config" / "demo" / "daily-papers.html").read_text(encoding="utf-8")
    props = READER.read(page(content))
    cards = READER.read(page(content.replace("dailyPapers&quot;:", "somethingNew&quot;:")))
    assert (props.layout, cards.layout, len(props.listings)) == ("data-props", "cards", 24)

    def printed(reading: Reading) -> list[tuple[object, ...]]:
        return [
            (
                item.paper.id,
                item.paper.title,
                item.paper.abstract,
                item.paper.organization,
                item.paper.published,
            )
            for item in reading.listings
        ]

    assert printed(props) == printed(cards)
    for one, other in zip(props.listings, cards.listings, strict=True):
        assert (one.upvotes, one.comments or 0, one.listed_on) == (
            other.upvotes,
            other.comments or 0,
            other.listed_on,
        )
        assert one.paper.code_url == other.paper.code_url
    assert max(len(item.paper.authors) for item in props.listings) == 120
    assert all(item.paper.code_stars is not None for item in cards.listings if item.paper.code_url)


CARD = "A Paper About Nothing\n\nNothing is described here at some length.\n\n  • 2 authors\n·\n{}\n\n"


def dates(
    text: str, captured_on: date | None = None
) -> tuple[date | None, list[date | None], tuple[str, ...]]:
    reading = READER.read(page(text), captured_on=captured_on)
    return reading.captured_on, [item.paper.published for item in reading.listings], reading.notes


def test_the_year_of_a_copy_is_the_one_after_the_largest_printed_year() -> None:
    text = "Daily Papers\n\nDec 10\n\n" + CARD.format("Oct 3 2") + CARD.format("Feb 26, 2025 1")
    assert dates(text) == (date(2026, 12, 10), [date(2026, 10, 3), date(2025, 2, 26)], ())


@pytest.mark.parametrize(
    "others",
    [
        [],  # nothing to tell the year from
        ["Mar 4, 2021"],  # 2022 had no Daily Papers
        ["Mar 4, 2025", "Dec 20"],  # after the day of the copy
        ["Mar 4, 2026", "Feb 29"],  # 2027 has no such day
    ],
)
def test_a_year_that_does_not_fit_is_not_guessed(others: list[str]) -> None:
    text = "Daily Papers\n\nDec 10\n\n" + "".join(map(CARD.format, ["Oct 3", *others]))
    captured_on, published, notes = dates(text)
    assert (captured_on, published[0]) == (None, None)
    assert "--captured-on" in notes[0]


def test_the_day_that_a_person_gives_wins_over_the_page() -> None:
    text = "Daily Papers\n\nDec 10\n\n" + CARD.format("Oct 3") + CARD.format("Feb 26, 2020")
    day = date(2024, 12, 11)
    assert dates(text, day) == (day, [date(2024, 10, 3), date(2020, 2, 26)], ())
    assert READER.read(page(saved("props.html")), captured_on=day).captured_on == day


def test_a_date_of_the_day_after_is_a_time_zone_and_a_later_one_is_of_last_year() -> None:
    text = CARD.format("Jan 3") + CARD.format("Jan 4") + CARD.format("Feb 29")
    assert dates(text, date(2025, 1, 2))[1] == [date(2025, 1, 3), date(2024, 1, 4), None]


def test_cards_without_a_header_still_have_a_year_but_no_day_of_capture() -> None:
    assert dates(CARD.format("Oct 3") + CARD.format("Mar 4, 2025"))[:2] == (
        None,
        [date(2026, 10, 3), date(2025, 3, 4)],
    )


def test_a_header_with_its_year_needs_no_guess() -> None:
    assert dates("Dec 10, 2024\n\n" + CARD.format("Oct 3"))[:2] == (date(2024, 12, 10), [date(2024, 10, 3)])


def test_a_copy_without_header_drops_the_banner_alone() -> None:
    banner = "Get trending papers in your email inbox!\n\nSubscribe\n\nDaily Papers\n\n"
    reading = READER.read(page(banner + CARD.format("Oct 3, 2025")))
    assert [item.paper.title for item in reading.listings] == ["A Paper About Nothing"]


def test_what_only_looks_like_a_line_of_who_and_when_is_part_of_an_abstract() -> None:
    abstract = "\n\n".join(
        f"{'Signs follow. ' * 20}\n·\n{line}" for line in ("Oct 99", "Octopus 3", "Oct 3 many")
    )
    reading = READER.read(page(f"Signs\n\n{abstract}\n\n  • 1 authors\n·\nOct 3, 2025"))
    (paper,) = [item.paper for item in reading.listings]
    assert paper.abstract.count("·") == 3


def test_a_chip_of_one_word_is_the_name_and_no_chip_is_no_organization() -> None:
    text = "One\n\nText.\n\nGoogle\n·\nOct 3, 2025\n\nTwo\n\nText.\n\n·\nOct 4, 2025\n\n·\nOct 5, 2025"
    papers = [item.paper for item in READER.read(page(text)).listings]
    assert [(paper.title, paper.organization) for paper in papers] == [("One", "Google"), ("Two", None)]


def test_a_text_that_ends_within_a_card_says_so() -> None:
    whole = CARD.format("Oct 3, 2025")
    cut = READER.read(page(whole + "A Title That Lost Its Abstract"))
    footer = READER.read(page(whole + "TOS\n\nPrivacy\n\nAbout"))
    last = READER.read(page(whole + "A Title\n\nAn abstract without a line below it."))
    assert [len(item.listings) for item in (cut, footer, last)] == [1, 1, 2]
    assert "A Title That Lost Its Abstract" in cut.notes[0]
    assert footer.notes == last.notes == ()


def test_a_title_card_without_abstract_and_without_line_is_a_card_of_its_own() -> None:
    text = "Only a Title\n\nAnother Title\n\nAn abstract, short as it is.\n\n  • 2 authors\n·\nOct 3, 2025"
    papers = [item.paper for item in READER.read(page(text)).listings]
    assert [(paper.title, bool(paper.abstract)) for paper in papers] == [
        ("Only a Title", False),
        ("Another Title", True),
    ]


def test_a_last_line_of_an_abstract_needs_no_full_stop() -> None:
    text = "A Title\n\nAn abstract.\n\nProject page: kettle at example\n\n  • 2 authors\n·\nOct 3, 2025"
    (listing,) = READER.read(page(text)).listings
    assert listing.paper.abstract == "An abstract. Project page: kettle at example"


def test_an_abstract_of_the_old_layout_may_begin_in_lower_case() -> None:
    banner = "Get trending papers in your email inbox!\nSubscribe"
    reading = READER.read(page(f"{banner}A Title\nwe boil kettles.\nAnother\ni-vectors sing."))
    papers = [item.paper for item in reading.listings]
    assert [(paper.title, paper.abstract) for paper in papers] == [
        ("A Title", "we boil kettles."),
        ("Another", "i-vectors sing."),
    ]


HTML = "<!doctype html><html><body>{}</body></html>"
PROPS = HTML.format('<div data-target="DailyPapers" data-props="{}"></div>')


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (b"", "empty"),
        (b" \r\n ", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00", "no text in UTF-8"),
        (b"PK\x03\x04\x00\x00", "binary"),
        (b"\xff\xfe\x00", "no text"),
        (b'[{"paper": {"id": "2611.90001", "title": "Cut', "cut short"),
        (b"[" * 100_000, "cut short"),
        (b'{"papers": []}', "none of its"),
        (b'{"title": "A feed", "items": []}', "none of its"),
        (b'[{"title": "An item"}, "text", 7]', "none of its"),
        (b'[{"paper": 5, "title": "x"}]', "none of its"),
        (b'{"error": "Invalid date"}', "Invalid date"),
        (HTML.format('<form><input type="password"></form>').encode(), "login"),
        (HTML.format('<script src="https://x.awswaf.com/challenge.js"></script>').encode(), "bot check"),
        (HTML.format("<h1>Hello</h1>").encode(), "DailyPapers"),
        (PROPS.format("[1, 2]").encode(), "DailyPapers"),
        (HTML.format('<a href="/papers/2611.90001">no heading</a>').encode(), "DailyPapers"),
        (b"<![if foo", "DailyPapers"),
        (b"<div>" * 20_000, "300 tags deep"),
        (b'<?xml version="1.0"?><rss><channel/></rss>', "DailyPapers"),
        (b"Dear diary,\n\nnothing happened today.\n", "banner"),
        (b"new\n\nGet trending papers in your email inbox!\n\nSubscribe\n", "before the first paper"),
        ("·\nOct 3, 2025".encode(), "before the first paper"),
    ],
)
def test_a_page_that_cannot_be_read_names_itself_and_what_is_missing(content: bytes, missing: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(missing)) as caught:
        READER.read(page(content, "file:///saved%20pages/page.html"))
    assert caught.value.place == "/saved pages/page.html"
    assert caught.value.remedy


def test_an_edition_of_no_papers_is_empty_and_no_error() -> None:
    assert READER.read(page("[]", "https://huggingface.co/api/daily_papers")).listings == ()
    empty = READER.read(
        page(PROPS.format("{&quot;dailyPapers&quot;:[],&quot;dateString&quot;:&quot;2026-11-19&quot;}"))
    )
    assert (empty.layout, empty.listings, empty.captured_on) == ("data-props", (), date(2026, 11, 19))
    assert empty.notes


@pytest.mark.parametrize(
    "more", ['"query":"kettle"', '"isTrending":true', '"periodType":"week"', '"periodType":"month"']
)
def test_a_page_that_is_no_edition_does_not_lend_its_day_to_papers(more: str) -> None:
    entry = '{"paper":{"id":"2611.90001","title":"x","upvotes":1}}'
    text = f'{{"dailyPapers":[{entry}],"dateString":"2026-11-19",{more}}}'
    for form in (text, PROPS.format(text.replace('"', "&quot;"))):
        (listing,) = READER.read(page(form)).listings
        assert listing.listed_on is None


def test_hostile_values_in_json_become_nothing() -> None:
    values = (
        '{"a": 1}',
        '"x"',
        "[1]",
        "true",
        "null",
        "-1",
        '"9999-12-31T23:00:00-23:00"',
        '"\\ud800\\u0000 \\ufffe"',
    )
    keys = re.findall(r"\w+", "id authors summary publishedAt submittedOnDailyAt upvotes organization")
    keys += re.findall(r"\w+", "githubRepo githubStars projectPage ai_summary ai_keywords")
    for value in values:
        fields = ", ".join(f'"{key}": {value}' for key in keys)
        (listing,) = READER.read(page(f'[{{"paper": {{"title": "A \\u0000title", {fields}}}}}]')).listings
        assert listing.paper.title == "A title"
        assert listing.paper.id.startswith("title:")
        assert (listing.paper.code_url, listing.listed_on) == (None, None)
        json.dumps(reading_document(Reading("api", (listing,)))).encode()


def test_an_address_that_cannot_be_parsed_is_dropped() -> None:
    (listing,) = READER.read(
        page('[{"paper": {"title": "x", "upvotes": 1, "projectPage": "http://[", "githubRepo": "https://"}}]')
    ).listings
    assert (listing.paper.project_url, listing.paper.code_url) == (None, None)


def test_html_that_the_parser_rejects_is_a_layout_error() -> None:
    with pytest.raises(LayoutError):  # which versions of Python reject it differs
        READER.read(page("<![foo[ <p>"))


PIECES = st.sampled_from(
    [
        *"[]{}<>()\"'\n\r·•-#:,. ", "\n\n", "·\n", "Oct 3", "Feb 29", "Dec 10, 2025", "9 authors", "T",
        "Get trending papers in your email inbox!", "Subscribe", "<article>", "<h3>", "<p>", "<![", "<?xml",
        '<a href="/papers/2611.90001">', "[-] 3", "### [T](https://huggingface.co/papers/2611.90001)", "\\",
        "[7](/papers/2611.90001#community)", "/login?next=%2Fpapers%2F2611.90001", "/papers/2600.00001",
        "/papers/date/2026-99-99", '"paper"', '"title"', "&quot;", "<!--", "-->", "<![foo[",
        '<div data-target="DailyPapers" data-props="', '{"dailyPapers":[',
    ]
)  # fmt: skip


@given(st.lists(PIECES).map("".join))
def test_pieces_of_real_pages_in_any_order_raise_nothing_but_a_layout_error(text: str) -> None:
    try:
        reading = READER.read(page(text))
    except LayoutError:
        return
    assert reading.listings or reading.notes or text.strip() == "[]"  # as the API says of an empty day
    json.dumps(reading_document(reading))


def test_pages_of_other_places_are_not_recognised() -> None:
    for other in (
        "",
        "\0",
        "Dear diary",
        '<rss version="2.0"/>',
        '{"results": []}',
        "<html><p>Hello</p></html>",
    ):
        assert not READER.recognises(page(other))
    assert not READER.recognises(page("x", "http://["))
    assert READER.recognises(page("<html>Log in</html>", "https://huggingface.co/papers"))
    assert READER.recognises(page("[]"))


def gone(url: str) -> FetchError:
    return FetchError("no answer", place=url, transient=True)


def collected(source: HuggingFace, period: Period, answers: dict[str, Answer]) -> tuple[Reading, list[str]]:
    """What a source makes of a site, and what it asked it for; all but `answers` are empty lists."""
    reading, requests = converse(source, period, lambda request: answers.get(request.url, "[]"))
    return reading, [request.url for request in requests]


def api(day: str, number: int = 0) -> str:
    return f"https://huggingface.co/api/daily_papers?date={day}&limit=100&p={number}"


def html(day: str) -> str:
    return f"https://huggingface.co/papers/date/{day}"


def entries(*ids: str, day: str | None = None) -> str:
    own = {"submittedOnDailyAt": f"{day}T00:00:00.000Z"} if day else {}
    return json.dumps(
        [{"paper": {"id": number, "title": f"Paper {number}", "upvotes": 1, **own}} for number in ids]
    )


def edition(day: str, *ids: str) -> str:
    props = f'{{"dateString":"{day}","dailyPapers":{entries(*ids)}}}'
    return PROPS.format(props.replace('"', "&quot;"))


def days_asked(asked: list[str]) -> list[str]:
    return list(dict.fromkeys(re.findall(r"date=([0-9-]+)", " ".join(asked))))


def shown(reading: Reading) -> list[tuple[str, str, int]]:
    return [(item.paper.id[6:], str(item.listed_on), item.position) for item in reading.listings]


def test_the_last_three_editions_are_read_each_time_oldest_first() -> None:
    _, asked = collected(HuggingFace(), ONE_DAY, {})
    assert asked == [api("2026-11-18"), api("2026-11-19"), api("2026-11-20")]


def test_a_missed_week_is_read_without_its_weekend() -> None:
    _, asked = collected(HuggingFace(), period("2026-11-12T07:00", "2026-11-21T23:00"), {})
    days = [f"2026-11-{n}" for n in (11, 12, 13, 16, 17, 18, 19, 20)]
    assert days_asked(asked) == days


def test_days_are_counted_in_utc_and_never_reach_beyond_the_period() -> None:
    until = datetime.fromisoformat("2026-11-18T03:00+09:00")
    _, asked = collected(HuggingFace(), Period(until, until), {})
    assert days_asked(asked) == ["2026-11-13", "2026-11-16", "2026-11-17"]


def test_there_was_nothing_before_the_first_edition() -> None:
    _, asked = collected(HuggingFace(), period("2020-01-01T00:00", "2023-05-05T12:00"), {})
    assert days_asked(asked) == ["2023-05-04", "2023-05-05"]


def test_pages_are_asked_for_until_one_is_empty_and_positions_go_on() -> None:
    day = "2026-11-20"
    answers: dict[str, Answer] = {
        api(day): entries("2611.90001", "2611.90002"),
        api(day, 1): entries("2611.90003"),
    }
    reading, asked = collected(HuggingFace("hf"), ONE_DAY, answers)
    assert asked[-3:] == [api(day, 0), api(day, 1), api(day, 2)]
    assert shown(reading) == [("2611.90001", day, 0), ("2611.90002", day, 1), ("2611.90003", day, 2)]
    assert (reading.layout, reading.complete, reading.notes) == ("api", True, ())


def test_a_site_that_repeats_its_answer_is_not_asked_for_ever() -> None:
    answers: dict[str, Answer] = {api("2026-11-20", n): entries("2611.90001") for n in range(99)}
    reading, asked = collected(HuggingFace(), ONE_DAY, answers)
    assert (len(reading.listings), len(asked)) == (1, 4)


def test_a_paper_that_comes_back_days_later_is_listed_on_both_days() -> None:
    answers: dict[str, Answer] = {
        api(f"2026-11-{n}"): entries("2611.90001", day=f"2026-11-{n}") for n in (18, 20)
    }
    reading, _ = collected(HuggingFace(), ONE_DAY, answers)
    assert shown(reading) == [("2611.90001", "2026-11-18", 0), ("2611.90001", "2026-11-20", 0)]


def test_an_unchanged_answer_counts_as_read() -> None:
    answers: dict[str, Answer] = {api(f"2026-11-{n}"): None for n in (18, 19, 20)}
    reading, asked = collected(HuggingFace(), ONE_DAY, answers)
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ())
    assert len(asked) == 3


@pytest.mark.parametrize("fault", [gone(api("2026-11-19")), edition("2026-11-19"), "<html>Log in</html>"])
def test_where_the_api_fails_the_page_is_read(fault: Answer) -> None:
    day = "2026-11-19"
    answers: dict[str, Answer] = {api(day): fault, html(day): edition(day, "2611.90001")}
    reading, asked = collected(HuggingFace(), ONE_DAY, answers)
    assert asked[1:4] == [api(day), html(day), api("2026-11-20")]
    assert shown(reading) == [("2611.90001", day, 0)]
    assert (reading.complete, reading.notes) == (True, ())


def test_an_unchanged_page_counts_as_read_too() -> None:
    day = "2026-11-19"
    reading, _ = collected(HuggingFace(), ONE_DAY, {api(day): gone(api(day)), html(day): None})
    assert reading.complete


def test_another_edition_than_the_one_asked_for_is_not_counted() -> None:
    day = "2026-11-19"
    answers: dict[str, Answer] = {api(day): gone(api(day)), html(day): edition("2026-11-18", "2611.90001")}
    reading, _ = collected(HuggingFace(), ONE_DAY, answers)
    assert reading.listings == ()
    assert reading.notes == ("2026-11-19 is not there, the site shows 2026-11-18 instead",)


def test_a_day_that_fails_both_ways_is_named_and_loses_no_other() -> None:
    day = "2026-11-19"
    answers: dict[str, Answer] = {
        api("2026-11-18"): entries("2611.90001"),
        api(day): gone(api(day)),
        html(day): gone(html(day)),
        api("2026-11-20"): entries("2611.90002"),
    }
    reading, _ = collected(HuggingFace(), ONE_DAY, answers)
    assert [item[0] for item in shown(reading)] == ["2611.90001", "2611.90002"]
    assert not reading.complete
    assert reading.notes[0].startswith("2026-11-19 could not be read")


def test_what_was_read_of_a_day_before_it_failed_is_kept() -> None:
    day = "2026-11-20"
    answers: dict[str, Answer] = {
        api(day): entries("2611.90001"),
        api(day, 1): gone(api(day, 1)),
        html(day): edition(day, "2611.90001", "2611.90002"),
    }
    reading, _ = collected(HuggingFace(), ONE_DAY, answers)
    assert [item[0] for item in shown(reading)] == ["2611.90001", "2611.90002"]


def test_if_nothing_can_be_read_the_first_error_is_raised() -> None:
    answers: dict[str, Answer] = {
        make(f"2026-11-{n}"): gone(f"day {n}") for n in (18, 19, 20) for make in (api, html)
    }
    with pytest.raises(SourceError, match="day 18"):
        collected(HuggingFace(), ONE_DAY, answers)


def test_a_doubt_of_the_reader_is_passed_on_with_its_day() -> None:
    answers: dict[str, Answer] = {
        api("2026-11-20"): '[{"paper": {}}, {"paper": {"title": "x", "upvotes": 1}}]'
    }
    reading, _ = collected(HuggingFace(), ONE_DAY, answers)
    assert reading.notes == ("2026-11-20: 1 of 2 entries have no title and are left out",)


def test_weeks_and_months_are_those_that_the_period_touches() -> None:
    source = HuggingFace(pages=["weekly", "monthly"])
    _, asked = collected(source, period("2026-10-31T07:00", "2026-11-09T07:00"), {})
    base = "https://huggingface.co/api/daily_papers"
    wanted = ["week=2026-W44", "week=2026-W45", "week=2026-W46", "month=2026-10", "month=2026-11"]
    assert asked == [f"{base}?{name}&limit=100&p=0" for name in wanted]


def test_week_53_is_read_by_its_days_because_the_site_does_not_know_it() -> None:
    source = HuggingFace(pages=["weekly"])
    _, asked = collected(source, period("2026-12-30T07:00", "2026-12-31T07:00"), {})
    assert days_asked(asked) == [*(f"2026-12-{n}" for n in range(28, 32)), "2027-01-01"]


def test_a_week_that_leads_to_another_page_is_not_counted() -> None:
    api_url, week = (
        "https://huggingface.co/api/daily_papers?week=2026-W47&limit=100&p=0",
        "https://huggingface.co/papers/week/2026-W47",
    )
    another = page(edition("2026-11-09", "2611.90001"), "https://huggingface.co/papers/week/2026-W46")
    reading, requests = talk(HuggingFace(pages=["weekly"]), ONE_DAY, [gone(api_url), another])
    assert [request.url for request in requests] == [api_url, week]
    assert reading.listings == ()
    assert "2026-W47 is not there" in reading.notes[0]


def test_trending_and_a_search_are_one_request_each() -> None:
    source = HuggingFace(pages=["trending"], query="talking face & more")
    trending = "https://huggingface.co/api/daily_papers?sort=trending&limit=100"
    search = "https://huggingface.co/api/papers/search?q=talking%20face%20%26%20more&limit=120"
    answers: dict[str, Answer] = {
        trending: entries("2611.90001"),
        search: entries("2611.90001", "2611.90002"),
    }
    reading, asked = collected(source, ONE_DAY, answers)
    assert asked == [trending, search]
    assert shown(reading) == [("2611.90001", "None", 0), ("2611.90002", "None", 1)]


def test_a_query_alone_reads_no_editions() -> None:
    _, asked = collected(HuggingFace(query="kettle"), ONE_DAY, {})
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pages": ["dayly"]}, "'dayly'"),
        ({"pages": "daily"}, "must be a list"),
        ({"pages": []}, "nothing to read"),
        ({"query": " "}, "1 to 250"),
        ({"query": "x" * 251}, "1 to 250"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HuggingFace(**options)


@pytest.mark.parametrize(
    "content",
    [
        '<a href="x',
        "<div>",
        "<a b='",
        "<!--",
        "<article><h3><a href='/papers/2611.90001'>x</a></h3></article>",
    ],
)
def test_hostile_html_is_read_in_a_time_that_grows_with_its_length(content: str) -> None:
    hostile = '<html><div data-target="DailyPapers">' + content * 20_000
    try:
        found = HuggingFaceReader().read(page(hostile, "https://huggingface.co/papers"))
    except LayoutError:
        return
    assert len(found.listings) == 1
