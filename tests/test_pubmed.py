"""PubMed: what efetch gives, and how esearch is asked for what came in lately."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import ONE_DAY, TEN_DAYS, Answer, gone, page, parameters, talk

from digest.core.document import reading_document
from digest.core.model import Paper
from digest.errors import LayoutError, SourceError
from digest.sources.pubmed import PubMed, PubMedReader

READER = PubMedReader()


def article(number: int, inner: str = "", *, title: str | None = None, data: str = "") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{number}</PMID><Article>"
        f"<ArticleTitle>{f'Paper {number}.' if title is None else title}</ArticleTitle>{inner}"
        f"</Article></MedlineCitation><PubmedData>{data}</PubmedData></PubmedArticle>"
    )


def fetched(*articles: str) -> str:
    return f"<?xml version='1.0'?><PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>"


def searched(count: int, **lists: object) -> dict[str, Any]:
    result = {"count": str(count), "idlist": [], "webenv": "MCID_1+2", "querykey": "1", **lists}
    return {"header": {"type": "esearch"}, "esearchresult": result}


def paper(inner: str = "", **fields: str) -> Paper:
    (listing,) = READER.read(page(fetched(article(90000001, inner, **fields)))).listings
    return listing.paper


def test_what_entered_pubmed_since_the_last_reading_is_searched_and_then_fetched() -> None:
    source = PubMed(query=' swin[tiab] AND "talking face" ', contact="me@example.org")
    answers: list[Answer] = [searched(2), fetched(article(1), article(2))]
    reading, (search, fetch) = talk(source, ONE_DAY, answers)
    base = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
    assert search.url.startswith(f"{base}/esearch.fcgi?")
    assert parameters(search.url) == {
        "db": "pubmed",
        "term": 'swin[tiab] AND "talking face"',
        "datetype": "edat",
        "mindate": "2026/11/17",
        "maxdate": "2026/11/20",
        "usehistory": "y",
        "retmax": "0",
        "retmode": "json",
        "tool": "digest",
        "email": "me@example.org",
    }
    assert fetch.url.startswith(f"{base}/efetch.fcgi?")
    assert parameters(fetch.url) == {
        "db": "pubmed",
        "WebEnv": "MCID_1+2",
        "query_key": "1",
        "retstart": "0",
        "retmax": "200",
        "rettype": "abstract",
        "retmode": "xml",
        "tool": "digest",
        "email": "me@example.org",
    }
    assert [(item.paper.id, item.paper.title) for item in reading.listings] == [
        ("pmid:1", "Paper 1"),
        ("pmid:2", "Paper 2"),
    ]
    assert (reading.complete, reading.notes) == (True, ())


def test_after_ten_days_off_all_of_them_are_searched() -> None:
    _, (search,) = talk(PubMed(query="tea"), TEN_DAYS, [searched(0)])
    asked = parameters(search.url)
    assert (asked["mindate"], asked["maxdate"]) == ("2026/11/08", "2026/11/20")
    assert "email" not in asked


def test_the_key_is_a_secret_in_no_address_and_lifts_the_pace() -> None:
    source = PubMed(query="tea", key=lambda: "very-secret")
    _, requests = talk(source, ONE_DAY, [searched(1), fetched(article(1))])
    assert [request.secrets for request in requests] == [(("api_key", "very-secret"),)] * 2
    assert not any("very-secret" in repr(request) for request in requests)
    _, (without,) = talk(PubMed(query="tea"), ONE_DAY, [searched(0)])
    paces = [request.pace for request in (requests[0], without)]
    assert [pace and (pace.site, pace.interval) for pace in paces] == [
        ("ncbi.nlm.nih.gov", 0.1),
        ("ncbi.nlm.nih.gov", 0.34),
    ]


def test_a_day_without_papers_is_complete_and_fetches_nothing() -> None:
    reading, _ = talk(PubMed(query="tea"), ONE_DAY, [searched(0, webenv=None)])
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ())


def test_pages_of_200_are_fetched_to_the_end() -> None:
    sets = [fetched(*(article(n) for n in range(start, min(start + 200, 450)))) for start in (0, 200, 400)]
    reading, requests = talk(PubMed(query="tea"), ONE_DAY, [searched(450), *sets])
    assert [parameters(request.url)["retstart"] for request in requests[1:]] == ["0", "200", "400"]
    assert (len(reading.listings), reading.listings[-1].position) == (450, 449)
    assert reading.complete


def test_what_was_read_before_a_failure_is_kept_and_the_reading_is_not_complete() -> None:
    answers: list[Answer] = [searched(300), fetched(*(article(n) for n in range(200))), gone(500)]
    reading, _ = talk(PubMed(query="tea"), ONE_DAY, answers)
    assert (len(reading.listings), reading.complete) == (200, False)
    assert reading.notes == ("the rest could not be read: the site: no answer. wait.",)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([gone()], "no answer"),
        ([{"esearchresult": {"ERROR": "Search Backend failed"}}], "Search Backend failed"),
        ([{"error": "API key invalid"}], "API key invalid"),
        ([{"esearchresult": []}], "none of esearch"),
        (["<html>"], "broken"),
        ([{"esearchresult": {}}], "how many"),
        ([searched(2, webenv="")], "where they are kept"),
        ([{"esearchresult": {"count": "9" * 5000}}], "how many"),
        ([searched(2), fetched()], "no records"),
        (
            [searched(2), "<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"],
            "obtain query",
        ),
    ],
)
def test_if_nothing_can_be_read_the_error_is_raised(answers: list[Answer], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        talk(PubMed(query="tea"), ONE_DAY, answers)


def test_no_more_is_fetched_than_pubmed_gives_and_this_is_said() -> None:
    sets = [fetched(article(start)) for start in range(0, 9_999, 200)]
    reading, requests = talk(PubMed(query="tea"), ONE_DAY, [searched(12_345), *sets])
    assert parameters(requests[-1].url)["retstart"] == "9800"
    assert parameters(requests[-1].url)["retmax"] == "199"
    assert not reading.complete
    assert "12,345 records match" in reading.notes[0]


def test_records_that_were_found_and_not_given_are_counted() -> None:
    reading, _ = talk(PubMed(query="tea"), ONE_DAY, [searched(3), fetched(article(1))])
    assert reading.notes == ("PubMed found 3 records and gave 1 papers",)


def test_what_pubmed_did_not_do_as_the_query_says_is_noted() -> None:
    answer = searched(
        0,
        errorlist={"phrasesnotfound": ["swinv9"], "fieldsnotfound": ["tiba"]},
        warninglist={
            "phrasesignored": ["of", "the"],
            "quotedphrasesnotfound": ['"no such phrase"'],
            "outputmessages": ["Unknown sort schema 'x' ignored", 3],
        },
    )
    reading, _ = talk(PubMed(query="tea"), ONE_DAY, [answer])
    assert reading.notes == (
        "PubMed does not know the field tiba and searched without it",
        "PubMed does not know swinv9",
        "PubMed left out of, the when it searched",
        'PubMed does not know the phrase "no such phrase"',
        "PubMed says: Unknown sort schema 'x' ignored",
    )
    assert reading.complete


def test_unchanged_answers_count_as_read() -> None:
    unchanged: list[list[Answer]] = [[None], [searched(2), None]]
    for answers in unchanged:
        reading, _ = talk(PubMed(query="tea"), ONE_DAY, answers)
        assert (reading.listings, reading.complete, reading.notes) == ((), True, ())


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query is empty"):
        PubMed(query=" ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "broken"),
        ("<PubmedArticleSet><PubmedArticle>", "broken"),
        ("<PubmedArticleSet><DeleteCitation/></PubmedArticleSet>", "no records"),
        ("<rss/>", "no set of PubMed's records"),
        ("<eFetchResult><ERROR>Empty id list</ERROR></eFetchResult>", "Empty id list"),
        ('{"header": {}, "esearchresult": {"idlist": ["1"]}}', "only the numbers"),
    ],
)
def test_what_is_no_set_of_records_is_an_error_and_never_an_empty_day(content: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        READER.read(page(content))


def test_a_single_record_can_be_saved_and_read_too() -> None:
    single = page(article(7))
    assert READER.recognises(single)
    (listing,) = READER.read(single).listings
    assert listing.paper.id == "pmid:7"


@pytest.mark.parametrize(
    ("printed", "title"),
    [
        ("A dot.", "A dot"),
        ("And so on...", "And so on..."),
        ("[Translated.]", "Translated"),
        ("[Translated [partly]].", "Translated [partly]"),
        ("[11C]acetate or [18F]FDG.", "[11C]acetate or [18F]FDG"),
        ("[11C] or [18F]", "[11C] or [18F]"),
        ("<i>E.</i>&#160;<b>coli</b> &amp; <sup>2</sup>?", "E. coli & 2?"),
    ],
)
def test_titles_lose_what_pubmed_puts_around_them(printed: str, title: str) -> None:
    assert paper(title=printed).title == title


@pytest.mark.parametrize(
    ("printed", "day"),
    [
        ("<Year>2026</Year><Month>Nov</Month><Day>3</Day>", date(2026, 11, 3)),
        ("<Year>2026</Year><Month>11</Month>", date(2026, 11, 1)),
        ("<Year>2026</Year><Season>Fall</Season>", None),
        ("<Year>2026</Year><Month>Feb</Month><Day>31</Day>", date(2026, 2, 1)),
        ("<Year>2026</Year><Month>Florilegium</Month>", None),
        ("<MedlineDate>2025 Dec-2026 Jan</MedlineDate>", date(2025, 12, 1)),
        ("<MedlineDate>2026 Summer</MedlineDate>", None),
        ("<MedlineDate>2025-2026</MedlineDate>", None),
        ("<MedlineDate>soon</MedlineDate>", None),
        ("", None),
    ],
)
def test_the_date_of_an_issue_may_be_written_in_many_ways(printed: str, day: date | None) -> None:
    issue = f"<Journal><JournalIssue><PubDate>{printed}</PubDate></JournalIssue></Journal>"
    assert paper(issue).published == day


def test_a_doi_that_was_found_to_be_wrong_is_not_used() -> None:
    assert paper('<ELocationID EIdType="doi" ValidYN="N">10.5555/x</ELocationID>').doi is None


def test_nothing_outside_the_document_is_loaded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    (listing,) = READER.read(page(bomb + article(1, title="T &e; &b; U"))).listings
    assert "root" not in listing.paper.title
    assert "aaaa" not in listing.paper.title


def test_pages_of_others_are_not_recognised() -> None:
    for other in (
        "",
        "\0",
        "{}",
        "<rss/>",
        "<html>PubmedArticleSet</html>",
        '[{"esearchresult": 1}]',
        "<?xml",
    ):
        assert not READER.recognises(page(other))
    assert READER.recognises(page("\n" + fetched()))


NAMES = st.sampled_from(
    [
        "MedlineCitation", "Article", "ArticleTitle", "VernacularTitle", "PMID", "Abstract", "AbstractText",
        "AuthorList", "Author", "LastName", "CollectiveName", "ArticleDate", "PubmedData", "ArticleIdList",
        "ArticleId", "History", "PubMedPubDate", "Year", "Month", "Day", "MedlineDate", "BookDocument",
        "Book", "BookTitle", "PubDate", "KeywordList", "Keyword", "i",
    ]
)  # fmt: skip
ATTRIBUTES = st.sampled_from(
    ["", ' IdType="doi"', ' IdType="pmc"', ' PubStatus="pubmed"', ' PubStatus="entrez"', ' Label="X"']
)
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")).map(escape)
XML = st.recursive(
    TEXT | st.sampled_from(["2026", "99", "Nov", "[", "]", "10.5555/x", "<?pi x?>", "<!-- x -->"]),
    lambda inner: st.builds(
        lambda name, attributes, items: f"<{name}{attributes}>{''.join(items)}</{name}>",
        NAMES,
        ATTRIBUTES,
        st.lists(inner, max_size=4),
    ),
    max_leaves=15,
)
RECORD = st.builds(
    lambda title, article, data: (
        f"<PubmedArticle><MedlineCitation><Article><ArticleTitle>{title}</ArticleTitle>{article}</Article>"
        f"</MedlineCitation><PubmedData><History>{data}</History></PubmedData></PubmedArticle>"
    ),
    TEXT,
    XML,
    XML,
)


@given(st.lists(RECORD | XML))
def test_records_of_any_kind_raise_nothing_but_a_source_error(records: list[str]) -> None:
    content = page(fetched(*records))
    assert READER.recognises(content)
    with contextlib.suppress(SourceError):
        json.dumps(reading_document(READER.read(content))).encode()


@given(
    st.dictionaries(
        st.sampled_from(["count", "webenv", "querykey", "errorlist", "warninglist"]),
        st.from_type(str)
        | st.integers()
        | st.none()
        | st.lists(st.text())
        | st.dictionaries(st.just("phrasesnotfound"), st.none()),
    )
)
def test_a_search_result_of_any_kind_raises_nothing_but_a_source_error(result: dict[str, Any]) -> None:
    with contextlib.suppress(SourceError, AssertionError):  # asking for more is all right
        talk(PubMed(query="tea"), ONE_DAY, [{"esearchresult": result}])
