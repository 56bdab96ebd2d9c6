"""Topics in a person's own words, and sources, providers and examples as `digest init` needs them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.core import example, origins, refusals, topics
from digest.core.model import Interest
from digest.core.providers import PROVIDERS, Provider, as_meant, guess
from digest.core.query import compile_interest
from digest.errors import ConfigError, QueryError

# --- topics -----------------------------------------------------------------------------------

# What somebody types, and the interests: name, keywords, exclude.
TOPICS = {
    "Swin": [("Swin", ["Swin"], [])],
    " swin ,, talking  face ": [("Swin", ["swin"], []), ("Talking face", ["talking face"], [])],
    "talking face or lip sync": [("Talking face", ["talking face", "lip sync"], [])],
    "Swin；talking face，p53、mRNA; =SAM": [
        ("Swin", ["Swin"], []),
        ("Talking face", ["talking face"], []),
        ("p53", ["p53"], []),
        ("mRNA", ["mRNA"], []),
        ("SAM", ["=SAM"], []),
    ],
    "SE(3) equivariance or (2+1)D convolution AND NOT C++": [
        ("SE(3) equivariance", ["SE(3) equivariance", "(2+1)D convolution"], ["C++"])
    ],
    '"title: (x AND y"': [("title: (x AND y", ["title: (x AND y"], [])],
    "talking face OR lip sync": [("Talking face", ["talking face", "lip sync"], [])],
    "face but not facebook": [("Face", ["face"], ["facebook"])],
    "face not facebook or meta": [("Face", ["face"], ["facebook", "meta"])],
    "face and not a, gaze not b and c nor d": [
        ("Face", ["face"], ["a"]),
        ("Gaze", ["gaze"], ["b", "c", "d"]),
    ],
    "face or not meta": [("Face", ["face"], ["meta"])],
    "audio and video": [("Audio and video", ["audio and video"], [])],
    "=SAM or diffus*": [("SAM", ["=SAM", "diffus*"], [])],
    '"talking face"~3': [("Talking face", ['"talking face"~3'], [])],
    '"this, or that" or x': [("this, or that", ["this, or that", "x"], [])],
    "“to be or not to be”": [("To be or not to be", ["to be or not to be"], [])],
    '"=x"': [("X", ['"=x"'], [])],
    "p53": [("p53", ["p53"], [])],
    "mRNA": [("mRNA", ["mRNA"], [])],
    "Swin, Swin": [("Swin", ["Swin"], [])],
    "gaze or gaze": [("Gaze", ["gaze"], [])],
    "β-Strahlen": [("β-Strahlen", ["β-Strahlen"], [])],
}


@pytest.mark.parametrize("text", TOPICS)
def test_topics_are_read_as_they_are_meant(text: str) -> None:
    found = [(one.name, list(one.keywords), list(one.exclude)) for one in topics.parse(text)]
    assert found == TOPICS[text]


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("swin or ", 'missing behind "or"', 8),
        ("swin not", 'missing behind "not"', 9),
        ("Swin or, talking face", 'missing behind "or"', 8),
        ("or swin", 'missing before "or"', 1),
        ("not face", 'missing before "not"', 1),
        ("and not face", 'missing before "not"', 5),
        ('talking "face', "never closed", 9),
        ("gaze, gaze or eyes", 'two topics begin with "Gaze"', 1),
        ("gaze, =", "no word", 1),
        ("gaze, a*b", "at the end of a word", 1),
    ],
)
def test_topic_that_cannot_be_read_is_refused_with_its_place(text: str, words: str, column: int) -> None:
    with pytest.raises(QueryError, match=words) as caught:
        topics.parse(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("Swin AND transformer", 6),
        ("Swin not video AND audio", 16),
        ("(image OR video) generation", 1),
        ("gaze, Title:avatar", 7),
        ("face -facebook", 6),
        ("+face", 1),
        ("face && audio", 6),
        ("face || audio", 6),
        ("face^2", 1),
        ("swim~", 1),
    ],
)
def test_what_looks_like_a_query_is_refused_for_it_would_mean_something_else(text: str, column: int) -> None:
    with pytest.raises(QueryError, match="topics are words") as caught:
        topics.parse(text)
    assert caught.value.column == column
    assert 'Write words with "or"' in str(caught.value)


def test_topics_are_said_as_they_are_understood() -> None:
    said = [topics.described(one) for one in topics.parse('"a b"~3 or =SAM not x or y, gaze')]
    assert said == ['A b: "a b"~3 or “=SAM”, not “x” or “y”', "Gaze: “gaze”"]


@pytest.mark.parametrize("text", ["", " , ,"])
def test_no_topic_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="there is no topic"):
        topics.parse(text)


@given(st.text(alphabet=" ,\"~*=abßOr'3-", max_size=30) | st.text(max_size=20))
def test_any_text_becomes_interests_that_can_be_compiled_or_is_refused(text: str) -> None:
    try:
        found = topics.parse(text)
    except ConfigError:
        return
    assert found
    for interest in found:
        assert interest.name
        compile_interest(interest)


@pytest.mark.parametrize(
    ("names", "expected"),
    [("a", "a"), ("a b", "a and b"), ("a b c", "a, b and c"), ("a b c d", "a, b, c and more")],
)
def test_title_names_a_few_interests(names: str, expected: str) -> None:
    assert topics.title([Interest(name) for name in names.split()]) == expected


# --- sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("huggingface", ["huggingface"]),
        ("arxiv:cs.CV, cs.SD, ~/a b", ["arxiv:cs.CV,cs.SD", "~/a b"]),
        ("bioRxiv:neuroscience,cell biology, medrxiv", ["bioRxiv:neuroscience,cell biology", "medrxiv"]),
        ("arxiv cs.CV,huggingface", ["arxiv cs.CV", "huggingface"]),
        ('"~/a, b" , inbox', ["~/a, b", "inbox"]),
        (' ,"",', []),
    ],
)
def test_sources_are_told_apart_by_commas(text: str, parts: Sequence[str]) -> None:
    assert origins.split(text) == parts


@pytest.mark.parametrize(
    ("text", "kind", "settings"),
    [
        ("HuggingFace", "huggingface", {"pages": ["daily"]}),
        ("arXiv:cs.CV, cs.SD", "arxiv", {"categories": ["cs.CV", "cs.SD"]}),
        ("arxiv cs.CV cs.SD", "arxiv", {"categories": ["cs.CV", "cs.SD"]}),
        ("medrxiv", "medrxiv", {}),
        ("biorxiv:cell biology,genomics", "biorxiv", {"categories": ["cell biology", "genomics"]}),
        ("https://www.x.org/f?a=b", "feed", {"name": "x.org", "url": "https://www.x.org/f?a=b"}),
        ("https://huggingface.co/papers", "huggingface", {"pages": ["daily"]}),
        ("http://hf.co/papers/?page=2", "huggingface", {"pages": ["daily"]}),
        ("https://huggingface.co/papers/date/2026-11-20", "huggingface", {"pages": ["daily"]}),
        ("https://huggingface.co/papers/week/2026-W47", "huggingface", {"pages": ["weekly"]}),
        ("https://huggingface.co/papers/month/2026-11", "huggingface", {"pages": ["monthly"]}),
        ("HTTPS://www.HuggingFace.co/papers/trending", "huggingface", {"pages": ["trending"]}),
        ("https://arxiv.org/list/cs.CV/new", "arxiv", {"categories": ["cs.CV"]}),
        ("https://www.arxiv.org/list/hep-th/pastweek?show=50", "arxiv", {"categories": ["hep-th"]}),
        ("https://arxiv.org/archive/cs", "arxiv", {"categories": ["cs"]}),
        ("https://rss.arxiv.org/rss/cs.CV+cs.SD", "arxiv", {"categories": ["cs.CV", "cs.SD"]}),
        ("http://export.arxiv.org/atom/q-bio.NC", "arxiv", {"categories": ["q-bio.NC"]}),
        ("https://www.biorxiv.org", "biorxiv", {}),
        ("https://www.medrxiv.org/content/early/recent", "medrxiv", {}),
        ("https://www.biorxiv.org/collection/cell-biology", "biorxiv", {"categories": ["cell biology"]}),
        ("https://connect.biorxiv.org/biorxiv_xml.php?subject=all", "biorxiv", {}),
        (
            "http://connect.medrxiv.org/medrxiv_xml.php?subject=oncology+public_health",
            "medrxiv",
            {"categories": ["oncology", "public health"]},
        ),
        *(
            (address, "feed", {"name": name, "url": address})
            for address, name in (
                ("https://huggingface.co/blog/feed.xml", "huggingface.co"),
                ("https://huggingface.co.example.org/papers", "huggingface.co.example.org"),
                ("https://export.arxiv.org/api/query?search_query=all:gaze", "export.arxiv.org"),
                ("https://notarxiv.org/list/cs.CV/new", "notarxiv.org"),
                ("https://www.biorxiv.org/search/gaze", "biorxiv.org"),
            )
        ),
        ("huggingfaces", "file", {"paths": ["huggingfaces"]}),
        (r"C:\papers", "file", {"paths": [r"C:\papers"]}),
    ],
)
def test_source_is_what_it_looks_like(text: str, kind: str, settings: dict[str, object]) -> None:
    assert origins.parse(text) == (kind, settings)


@pytest.mark.parametrize("text", ["arxiv", "arxiv:", "huggingface:daily"])
def test_site_is_told_what_it_lacks_or_has_not(text: str) -> None:
    with pytest.raises(ConfigError, match="categories"):
        origins.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://huggingface.co/papers?q=talking+face", "address of a search"),
        ("https://huggingface.co/papers/2611.12345", "no list of papers"),
        ("https://x.org/a https://x.org/b", "no spaces"),
        ("https://[::1/feed", "is no address"),
    ],
)
def test_address_that_is_no_source_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        origins.parse(text)


@given(st.from_regex(r"https?://(www\.)?(hf\.co/papers|arxiv\.org/list|biorxiv\.org)[ -~]*", fullmatch=True))
def test_any_address_is_a_source_or_is_refused(text: str) -> None:
    try:
        origin = origins.parse(text)
    except ConfigError:
        return
    assert origin.kind in {"feed", "huggingface", "arxiv", "biorxiv"}


def test_sources_of_a_kind_become_one_and_feeds_have_names_of_their_own() -> None:
    trending = "https://huggingface.co/papers/trending"
    said = f"huggingface,{trending},huggingface,arxiv:a,arxiv:b,arxiv:a,biorxiv:x,biorxiv,https://x.org/1,https://x.org/2,/p,/q"
    assert origins.merged([origins.parse(one) for one in said.split(",")]) == [
        ("huggingface", {"pages": ["daily", "trending"]}),
        ("arxiv", {"categories": ["a", "b"]}),
        ("biorxiv", {}),
        ("feed", {"name": "x.org", "url": "https://x.org/1"}),
        ("feed", {"name": "x.org-2", "url": "https://x.org/2"}),
        ("file", {"paths": ["/p", "/q"]}),
    ]


# --- providers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "name", "host"),
    [
        ("GMail.com", "gmail", "smtp.gmail.com"),
        ("hotmail.co.uk", "outlook", "smtp-mail.outlook.com"),
        ("lab.onmicrosoft.com", "microsoft365", "smtp.office365.com"),
        ("fastmail.fm", "fastmail", "smtp.fastmail.com"),
        ("me.com", "icloud", "smtp.mail.me.com"),
        ("pm.me", "proton", "127.0.0.1"),
        ("gmx.at", "gmx", "mail.gmx.net"),
        ("gmx.co.uk", "gmx.com", "mail.gmx.com"),
        ("web.de", "web.de", "smtp.web.de"),
        ("yahoo.com.br", "yahoo", "smtp.mail.yahoo.com"),
        ("aol.com", "aol", "smtp.aol.com"),
        ("mailbox.org", "mailbox.org", "smtp.mailbox.org"),
        ("posteo.net", "posteo", "posteo.de"),
        ("zohomail.eu", "zoho", "smtp.zoho.eu"),
    ],
)
def test_provider_is_known_by_its_domains(domain: str, name: str, host: str) -> None:
    provider = guess(domain)
    assert provider is not None
    assert (provider.name, provider.server(domain)) == (name, host)


@pytest.mark.parametrize(
    "domain", ["example.org", "notgmail.com", "gmail.com.example.org", "live.example.org"]
)
def test_domain_of_somebody_elses_is_no_providers(domain: str) -> None:
    assert guess(domain) is None


def test_domain_of_ones_own_may_have_another_server() -> None:
    assert PROVIDERS["zoho"].server("example.org") == "smtppro.zoho.com"
    assert PROVIDERS["fastmail"].server("example.org") == "smtp.fastmail.com"


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_what_a_provider_wants_is_what_is_advised_when_it_refuses(provider: Provider) -> None:
    stage: refusals.Stage = "token" if provider.by_token else "password"
    advice = refusals.advise(stage, "535 5.7.8 no", provider.server("zoho.eu"))
    assert advice is not None
    addresses = set(re.findall(r"https://[\w./]+\w", provider.wants))
    assert addresses <= {*re.findall(r"https://[\w./]+\w", advice.words), "https://aka.ms/smtp_auth_disabled"}
    if "app password" in provider.wants:
        assert "app password" in advice.words
    if provider.by_token:
        assert "[email.oauth2]" in advice.words


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("abcd efgh ijkl mnop", "abcdefghijklmnop"),
        (" abcd\N{NO-BREAK SPACE}efgh ijkl mnop\t", "abcdefghijklmnop"),
        ("abcd-efgh-ijkl-mnop", "abcd-efgh-ijkl-mnop"),
        ("four word pass phra", "fourwordpassphra"),
        ("correct horse battery", "correct horse battery"),
        (" leading", " leading"),
    ],
)
def test_app_password_loses_the_spaces_it_is_shown_with(typed: str, meant: str) -> None:
    assert as_meant(typed) == meant


# --- examples ---------------------------------------------------------------------------------

EXAMPLE = """# A manual.
top = 1           # said of it

# [mail]
# host = "x"      # the host
# key = { ring = "a" }
# key = { file = "b" }    # or so
other = 2

[mail.more]
a = 1
# [[page]]
# kind = "one"

# Two.
# [[page]]
# kind = "two"
"""


def test_tables_are_put_in_force_and_every_comment_stays() -> None:
    text = example.in_force(EXAMPLE, "[mail]", {"host": 'a"b\x7f\\', "key": {"file": "c"}})
    text = example.on_top(text, {"top": ["ü", "\n"]})
    text = example.followed(text, "[[page]]", {"kind": "three", "is": True}, first='kind = "two"')
    text = example.in_force(text, "[[page]]", {"kind": "2"}, first='kind = "two"')
    assert (
        text
        == r"""# A manual.
top = ["ü", "\n"]  # said of it

[mail]
host = "a\"b\u007f\\"  # the host
# key = { ring = "a" }
key = { file = "c" }      # or so
other = 2

[mail.more]
a = 1
# [[page]]
# kind = "one"

# Two.
[[page]]
kind = "2"

[[page]]
kind = "three"
is = true
"""
    )
    assert tomllib.loads(text)["mail"]["host"] == 'a"b\x7f\\'


def test_table_is_taken_out_of_force() -> None:
    assert "# [mail.more]\n# a = 1\n# [[page]]\n" in example.out_of_force(EXAMPLE, "[mail.more]")


@pytest.mark.parametrize(
    ("heading", "values", "first"),
    [("[nail]", {}, ""), ("[mail]", {"port": 1}, ""), ("[[page]]", {}, 'kind = "three"')],
)
def test_example_that_lacks_what_is_wanted_is_an_error(
    heading: str, values: dict[str, int], first: str
) -> None:
    with pytest.raises(LookupError, match="the example has no"):
        example.in_force(EXAMPLE, heading, values, first=first)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_as_toml_reads_it(text: str) -> None:
    assert tomllib.loads(example.assignment("key", text)) == {"key": text}
