"""What a stranger tries who writes pages, feeds and titles, answers requests, or asks the server.

`data/security/addresses.txt` says where a page may lead; `test_scripts.py` looks at pages in a browser.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import re
import ssl
import stat
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest
from commands import Run
from http_server import Server
from served import answering
from world import SWIN_PAGE, configure

from digest import app
from digest.core import mailbox
from digest.core.identity import doi, plain_address
from digest.core.model import Artifact, Page, Request
from digest.core.wire import web_address, xml_root
from digest.deliver.file import FilePublisher
from digest.errors import FetchError, LayoutError
from digest.fetch.http import HttpFetcher, Network, Proxy
from digest.fetch.http.body import Body, TooLargeError
from digest.sources.feed.reader import FeedReader

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DATA = Path(__file__).parent / "data" / "security"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


# --- where a page may lead --------------------------------------------------------------------


def cases() -> list[tuple[str, str, str]]:
    """Verdict, address, and where it is asked."""
    found = []
    for line in (DATA / "addresses.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            verdict, _, rest = line.partition(" ")
            address, _, place = rest.partition(" -> ")
            typed = re.sub(r"\{U\+([0-9A-F]{4})\}", lambda found: chr(int(found[1], 16)), address)
            found.append((verdict, typed, place))
    return found


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to read all authorities takes longer than a test
DIRECT = Network(context=NO_TLS)
PROXIED = Network(Proxy("http://proxy.example.org:3128"), NO_TLS)


class Internet:
    """A site that leads wherever it is told to, and names that mean another address at each question."""

    names: Mapping[str, list[str]] = {
        "papers.example.org": ["93.184.215.14"],
        "inside.example.org": ["10.0.0.7"],
        "both.example.org": ["93.184.215.14", "10.0.0.7"],
        "mapped.example.org": ["::ffff:10.0.0.7"],
        "local.example.org": ["fe80::1%eth0"],
        "nothing.example.org": ["0.0.0.0"],  # noqa: S104 - nobody listens there
    }

    def __init__(self, leads_to: str = "") -> None:
        self.leads_to = leads_to.encode()
        self.asked: list[str] = []
        self._questions: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        if request.url.host == "first.example.org":
            return httpx.Response(302, headers=[(b"Location", self.leads_to)])
        return httpx.Response(200, stream=httpx.ByteStream(b"page"))

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        self._questions.append(host)
        return ["127.0.0.1"] if self._questions.count(host) > 1 else self.names[host]

    def fetch(self, request: Request, network: Network = DIRECT) -> Page | None:
        fetcher = HttpFetcher(
            user_agent="digest",
            network=network,
            transport=httpx.MockTransport(self.answer),
            resolve=self.resolve,
        )
        with closing(fetcher):
            return fetcher.fetch(request, now=NOW)


FROM_PAGE = partial(Request, from_page=True)


@pytest.mark.parametrize(("verdict", "address", "place"), cases())
def test_a_page_leads_to_the_internet_or_nowhere(verdict: str, address: str, place: str) -> None:
    first = "http://first.example.org/"
    ways: list[tuple[Internet, Request, Network, list[str]]] = [
        (Internet(), FROM_PAGE(address), DIRECT, []),
        (Internet(), FROM_PAGE(address), PROXIED, []),
    ]
    if address.isprintable():  # what a header can hold
        ways.append((Internet(address), Request(first), DIRECT, ["first.example.org"]))
    for internet, request, network, before in ways:
        if verdict == "public" or (verdict == "private*" and network is PROXIED):
            assert internet.fetch(request, network) is not None
            host = (urlsplit(address.lower()).hostname or "").rpartition("\\")[2].rpartition("@")[2]
            is_for_proxy = network is PROXIED and host in internet.names
            assert internet.asked == [*before, host if is_for_proxy else place]
        else:
            words = "private network" if verdict.startswith("private") else "no address|cannot be followed"
            with pytest.raises(FetchError, match=words):
                internet.fetch(request, network)
            assert set(internet.asked) == set(
                before
            )  # `http:/x` is a path of the same site (RFC 3986, 5.2.2)


@pytest.mark.parametrize("location", ["//127.0.0.1/", "//[::1]:80/", r"/\127.0.0.1/", "http://x\\@[::1]/"])
def test_an_address_without_a_scheme_leads_nowhere_else(location: str) -> None:
    internet = Internet(location)
    with pytest.raises(FetchError):
        internet.fetch(Request("http://first.example.org/"))
    assert set(internet.asked) == {"first.example.org"}


def test_a_feed_that_may_lead_into_a_private_network_does() -> None:
    for verdict, address, _ in cases():
        if verdict == "private":
            internet = Internet()
            assert internet.fetch(FROM_PAGE(address, allow_private=True)) is not None, address
            assert len(internet.asked) == 1


# --- what answers hold ------------------------------------------------------------------------


def test_no_site_is_sent_what_another_one_told_a_reader_to_keep() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "id=1; Path=/"}, stream=httpx.ByteStream(b"page"))

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14"]  # where many sites are

    transport = httpx.MockTransport(answer)
    fetcher = HttpFetcher(user_agent="digest", network=DIRECT, transport=transport, resolve=resolve)
    with closing(fetcher):
        for host in ("one.example.org", "another.example.com", "one.example.org"):
            fetcher.fetch(FROM_PAGE(f"http://{host}/"), now=NOW)
    assert sent == [None] * 3


def test_a_site_that_leads_in_a_circle_until_its_cookie_is_shown_is_read() -> None:
    journal, login = "journal.example.org", "login.example.com"
    answers = {
        (journal, "/", None): {"Location": f"http://{login}/"},
        (login, "/", None): {"Location": f"http://{journal}/in", "Set-Cookie": "its-own=1"},
        (journal, "/in", None): {"Location": "/", "Set-Cookie": "seen=1; Path=/"},
        (journal, "/", "seen=1"): {},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        headers = answers[request.headers["Host"], request.url.path, request.headers.get("Cookie")]
        return httpx.Response(302 if headers else 200, headers=headers, stream=httpx.ByteStream(b"papers"))

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14"]

    transport = httpx.MockTransport(answer)
    fetcher = HttpFetcher(user_agent="digest", network=DIRECT, transport=transport, resolve=resolve)
    with closing(fetcher):
        page = fetcher.fetch(FROM_PAGE(f"http://{journal}/"), now=NOW)
    assert page is not None
    assert page.content == b"papers"


def test_a_piece_that_unpacks_to_megabytes_is_not_unpacked_whole() -> None:
    piece = gzip.compress(bytes(100_000_000))
    body = Body("gzip", 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            body.add(piece)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(b"") * 400),  # members of nothing have no end
        ("gzip", gzip.compress(gzip.compress(bytes(9_000_000)))),
        ("deflate", b"\x78\x9c\x03\x00\x00\x00\x00\x01" + bytes(9000)),
        ("br", b"\x0b\x02\x80page\x03"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"page"))),
        ("identity", bytes(9000)),
    ],
    ids=["nothing again and again", "within itself", "more behind it", "brotli", "twice", "not packed"],
)
def test_a_body_is_taken_no_further_than_its_limit(encoding: str, content: bytes) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)]
        return httpx.Response(200, headers={"Content-Encoding": encoding}, stream=Pieces(pieces))

    fetcher = HttpFetcher(user_agent="digest", max_bytes=5000, transport=httpx.MockTransport(answer))
    with closing(fetcher), pytest.raises(FetchError, match=r"more than 5,000 bytes|packed as"):
        fetcher.fetch(Request("http://papers.example.org/"), now=NOW)


class Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000,
        b"HTTP/1.1 " + b"2" * 300_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\npages",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 300_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage",
    ],
    ids=[
        "a long field",
        "many fields",
        "a long status",
        "two lengths",
        "a long chunk size",
        "a large one",
        "no end",
    ],
)
def test_an_answer_that_is_none_ends_the_request(head: bytes) -> None:
    async def sleep(_seconds: float) -> None:
        pass

    with Server(head, head, head) as server:
        fetcher = HttpFetcher(user_agent="digest", sleep=sleep, clock=lambda: 0.0)
        with closing(fetcher), pytest.raises(FetchError, match=r"no answer|cut short"):
            fetcher.fetch(
                Request(f"http://127.0.0.1:{server.port}/", headers=(("Content-Length", "0"),)), now=NOW
            )


BILLION = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    "document",
    [
        f"<!DOCTYPE x [{BILLION}]><x>&l11;</x>",
        f'<!DOCTYPE x [{BILLION}]><x a="&l11;"/>',
        f'<!DOCTYPE x [{BILLION}<!ELEMENT x ANY><!ATTLIST x a CDATA "&l11;">]><x/>',
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 90_000}">]><x a="{"&a;" * 20_000}"/>',
        f'<!DOCTYPE x [<!ELEMENT y ANY><!ATTLIST y a CDATA "{"a" * 90_000}">]><x>{"<y/>" * 20_000}</x>',
        '<!DOCTYPE x [<!ENTITY a "&b;"><!ENTITY b "&a;">]><x a="&a;"/>',
        "<!DOCTYPE x [<!ENTITY % a \"<!ENTITY &#37; b '&#37;a;'>\"> %a; %b;]><x/>",
        "<x>" * 5000 + "</x>" * 5000,
    ],
    ids=["text", "value", "default", "one large", "default without", "loop", "parameters", "depth"],
)
def test_entities_cannot_make_a_document_large(document: str) -> None:
    try:
        root = xml_root(Page("http://papers.example.org/", document.encode(), "text/xml", NOW))
    except LayoutError:
        return
    values = [value for one in root.iter("*") for value in (*one.attrib.values(), one.text or "")]
    assert sum(map(len, values)) < 10_000


FORMS = {
    "rss": "<rss version='2.0'><channel><title>t</title><item><title>Swin {}</title>"
    "<link>https://papers.example.org/1</link><description>{}</description></item></channel></rss>",
    "atom": "<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title><entry><title>Swin {}</title>"
    "<id>https://papers.example.org/1</id><summary>{}</summary></entry></feed>",
    "rdf": "<rdf:RDF xmlns='http://purl.org/rss/1.0/' "
    "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><channel><title>t</title></channel><item>"
    "<title>Swin {}</title><link>https://papers.example.org/1</link><description>{}</description>"
    "</item></rdf:RDF>",
    "pubmed": "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>Swin {}"
    "</ArticleTitle><Abstract><AbstractText>{}</AbstractText></Abstract></Article></MedlineCitation>"
    "</PubmedArticle></PubmedArticleSet>",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_document_reads_no_file_and_asks_nobody(form: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "x.dtd").write_text('<!ENTITY e "canary">')
    file, dtd = (tmp_path / "secret").as_uri(), (tmp_path / "x.dtd").as_uri()
    asked = "http://127.0.0.1:9/"  # a test that reached out would be refused
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}" parse="text"/>'
    for number, (head, words) in enumerate(
        (
            (f'<!DOCTYPE x [<!ENTITY e SYSTEM "{file}">]>', "&e;"),
            (f'<!DOCTYPE x [<!ENTITY e PUBLIC "x" "{file}">]>', "&e;"),
            (f'<!DOCTYPE x SYSTEM "{dtd}">', "&e;"),
            (f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{dtd}"> %p;]>', "&e;"),
            (f'<!DOCTYPE x [<!ENTITY e SYSTEM "{asked}">]>', "&e;"),
            (f'<!DOCTYPE x SYSTEM "{asked}">', "words"),
            (f'<?xml-stylesheet href="{file}" type="text/xsl"?>', "words"),
            ("", include.format(file)),
        )
    ):
        page = tmp_path / f"{number}.xml"
        page.write_text(f"<?xml version='1.0'?>{head}{FORMS[form].format(words, words)}")
        code = run("read", page, "--json")
        assert "canary" not in run.out + run.err
        assert code == 0 or "digest: " in run.err


ATOM = "http://www.w3.org/2005/Atom"


@pytest.mark.parametrize("address", ["", "#x", "?", "?page=2", "./", "/1", "https://papers.example.org/1"])
def test_the_key_in_the_address_of_a_feed_is_in_no_paper(address: str) -> None:
    escaped = escape(address)
    for document in (
        f"<feed xmlns='{ATOM}'><entry><title>Swin</title><link href='{escaped}'/></entry></feed>",
        f"<rss version='2.0'><channel><item><title>Swin</title><link>{escaped}</link></item></channel></rss>",
        f"<rss version='2.0'><channel><item><title>Swin</title><guid>{escaped}</guid></item></channel></rss>",
        json.dumps(
            {"version": "https://jsonfeed.org/version/1.1", "items": [{"title": "Swin", "url": address}]}
        ),
    ):
        page = Page("https://papers.example.org/feed?key=canary", document.encode(), None, NOW)
        (listing,) = FeedReader().read(page).listings
        assert "canary" not in repr(listing)


# --- what is printed, and what stands in headers ----------------------------------------------

ESCAPES = "\x1b]8;;https://evil.example\x07\x1b[2J\x9b31m\x9d0;t\x9c\x7f\x08\u202e\u2066\u2028"


def test_identifiers_and_addresses_have_no_controls() -> None:
    packed = "".join(f"%{byte:02X}" for byte in ESCAPES.encode())
    for text in (ESCAPES, packed):
        for name in (doi(f"https://doi.org/10.5555/ab{text}c"), doi(f"10.5555/ab{text}c")):
            assert name
            assert not STEERS.search(name)
        for address in (f"https://papers.example.org/{text}", f"https://papers.example.org/?{text}"):
            assert not STEERS.search(web_address(address) or "")
            assert not STEERS.search(plain_address(address) or "")


def test_no_paper_steers_a_terminal(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # else what is no terminal is spared them
    config = configure(tmp_path, port=9)
    packed = "".join(f"%{byte:02X}" for byte in ESCAPES.encode())
    common = {
        "type": "article",
        "author": [{"family": f"F{ESCAPES}", "given": "G"}],
        "abstract": f"Swin {ESCAPES}",
        "container-title": f"J{ESCAPES}",
        "keyword": ESCAPES,
    }
    names: list[dict[str, object]] = [
        {"DOI": f"10.5555/a{ESCAPES}"},
        {"URL": f"https://doi.org/10.5555/b{packed}"},
        {"URL": f"https://papers.example.org/{ESCAPES}"},
        {"id": ESCAPES},
    ]
    papers = [common | {"title": f"Swin {number} {ESCAPES} end"} | name for number, name in enumerate(names)]
    (tmp_path / "inbox" / "page.json").write_text(json.dumps(papers))
    named = tmp_path / "a\x1b[2J\u202eb.txt"
    named.write_text("nothing to read")
    commands: list[tuple[object, ...]] = [
        ("read", tmp_path / "inbox" / "page.json"),
        ("read", tmp_path / "inbox" / "page.json", "--json"),
        ("read", named),
        ("papers", "--config", config, "--json"),
        ("explain", "Swin", "--config", config, "--json"),
        *((command, "--config", config) for command in ("run", "papers", "status", "outbox", "terms")),
        *((command, "Swin", "--config", config) for command in ("papers", "explain", "try")),
        ("like", tmp_path / "inbox" / "page.json", "--config", config, "--no-fetch"),
        ("likes", "--config", config),
        ("run", "--config", config, "--log", "json"),
        ("run", "--config", config, "--log", "logfmt"),
    ]
    for command in commands:
        run(*command)
        printed = re.sub(r"\x1b\[[\d;]*m", "", run.out + run.err)
        assert printed
        assert not STEERS.search(printed), command


@pytest.mark.parametrize(
    "text",
    [
        "Na\r\nBcc: eve@example.net <me@example.org>",
        "Na\nBcc: eve@example.net <me@example.org>",
        "Na\x00me <me@example.org>",
        "Na\x0bme <me@example.org>",
        "Na\x1b[2Jme <me@example.org>",
        "Na\u2028me <me@example.org>",
        "Na\u202eme <me@example.org>",
        "Name <me@example.org>\r\nRCPT TO:<eve@example.net>",
        "Name <me@example.org\r\nDATA>",
        "Name <me\x00@example.org>",
        "Name <me\x9b@example.org>",
        "Name <me@example.org> SIZE=1",
        "me@example.org,eve@example.net",
        "me@example.org>",
        "<me@example.org><eve@example.net>",
        '"me"@example.org',
        "me@[127.0.0.1]",
        "@example.org:me@example.org",
    ],
)
def test_a_mailbox_ends_neither_a_header_nor_a_command(text: str) -> None:
    with pytest.raises(ValueError, match="write an address"):
        mailbox.parse(text)


def test_a_domain_is_no_longer_than_mail_allows() -> None:
    """One of thousands of different characters would take minutes."""
    for domain in (f"{'a.' * 126}org", "ü.org"):
        mailbox.parse(f"me@{domain}")
    with pytest.raises(ValueError, match="write an address"):
        mailbox.parse(f"me@{'a.' * 127}org")


# --- files ------------------------------------------------------------------------------------

NAMES = ["../../up", "/etc/passwd", "..", ".", "a\\..\\b", "C:\\x", "con", "ü/ß", "a" * 300, "\u202e"]


def test_interests_name_no_folder_but_their_own(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra="[feeds]\nper_interest = true")
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    tables = [f'[[interests]]\nname = {json.dumps(name)}\nkeywords = ["Swin"]\n' for name in NAMES]
    (tmp_path / "profiles" / "me.toml").write_text('name = "me"\ntitle = "Me"\n' + "".join(tables))
    before = set(tmp_path.rglob("*"))
    assert run("run", "--config", config) == 0, run.err
    made = {path.relative_to(tmp_path) for path in set(tmp_path.rglob("*")) - before}
    assert {path.parts[0] for path in made} == {"data", "public"}
    folders = {path.name for path in (tmp_path / "public" / "feeds" / "me").iterdir() if path.is_dir()}
    assert len(folders) == len(NAMES)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in folders)


@pytest.mark.parametrize("name", ["../me", "..", ".hidden", "a/b", "a\\b", "a b", "A", "", "ü", "a\n", "a\0"])
def test_a_profile_whose_name_is_no_file_is_refused(name: str, tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    path = tmp_path / "profiles" / "me.toml"
    path.write_text(path.read_text().replace('name = "me"', f"name = {json.dumps(name)}"))
    assert run("run", "--config", config) == 2
    assert not (tmp_path / "public").exists()


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
def test_a_page_is_kept_below_its_folder_and_through_no_link(tmp_path: Path, run: Run, echo: int) -> None:
    url = f"http://127.0.0.1:{echo}/papers.example.org"
    config = configure(tmp_path, extra=f'[[sources]]\nkind = "feed"\nname = "../../up"\nurl = "{url}"')
    victim = tmp_path / "victim"
    victim.write_text("mine")
    assert run("collect", "--config", config) == 1
    (kept,) = (tmp_path / "data" / "kept").iterdir()
    kept.unlink()
    kept.symlink_to(victim)
    assert run("collect", "--config", config) == 1
    assert victim.read_text() == "mine"
    assert not kept.is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().startswith("/papers.example.org ")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_page_is_kept_for_its_owner_alone_whoever_calls(tmp_path: Path, echo: int) -> None:
    extra = f'[[sources]]\nkind = "feed"\nname = "lab"\nurl = "http://127.0.0.1:{echo}/papers.example.org"'
    made = app.load(str(configure(tmp_path, extra=extra)), {})
    before = os.umask(0o022)  # the command line has a stricter one
    try:
        with made.store() as store:
            list(made.collect(store, at=NOW))
    finally:
        os.umask(before)
    (kept,) = (tmp_path / "data" / "kept").iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.parent, kept)] == [0o700, 0o600]


# --- the server -------------------------------------------------------------------------------


@contextmanager
def raw(client: httpx.Client) -> Iterator[Callable[..., http.client.HTTPResponse]]:
    """Asks for paths as they are, which httpx would tidy up."""
    connections = []

    def ask(path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 0, timeout=10)
        connections.append(connection)
        connection.request(method, path, headers=headers)
        return connection.getresponse()

    yield ask
    for one in connections:
        one.close()


def test_who_reads_one_profile_reads_no_other_however_it_is_spelt(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("me", "you"))
    paths = ("feeds/me/atom.xml", "feeds/you/atom.xml", "feeds/atom.xml", "index.html")
    FilePublisher(tmp_path / "public").publish([Artifact(path, b"canary") for path in paths])
    assert run("access", "add", "ann", "--profile", "me", "--config", config) == 0
    (secret,) = set(re.findall(r"[\w-]{43}", run.out))
    login = "Basic " + base64.b64encode(f"ann:{secret}".encode()).decode()
    other = [
        "/feeds/you/atom.xml", "/feeds/me/../you/atom.xml", "/feeds/me/%2e%2e/you/atom.xml",
        "/feeds/me/%2E%2E%2Fyou/atom.xml", "/feeds/me/..%2fyou/atom.xml", "/feeds/me/%252e%252e/you/atom.xml",
        "/feeds/me/..\\you\\atom.xml", "/feeds/me/..%5cyou%5catom.xml", "/feeds/me/./../you/atom.xml",
        "/feeds/me//../you/atom.xml", "/feeds/me;/../you/atom.xml", "/feeds/me/..;/you/atom.xml",
        "/feeds/me/.%00./you/atom.xml", "/feeds/me/%c0%ae%c0%ae/you/atom.xml", "/feeds/me/../atom.xml",
        "//feeds/you/atom.xml", "/feeds//you/atom.xml", "/FEEDS/YOU/ATOM.XML", "/feeds/me/../../index.html",
        "/archive/me/../../feeds/you/atom.xml", "/feeds/you/atom.xml?profile=me", "/feeds/you/atom.xml#/me/",
        "/feeds/feed.css/../you/atom.xml", "/digest/feeds/you/atom.xml", "http://127.0.0.1/feeds/you/atom.xml",
    ]  # fmt: skip
    with answering(config) as client, raw(client) as ask:
        assert ask("/feeds/me/atom.xml", Authorization=login).read() == b"canary"
        for path in other:
            for place, headers in ((path, {"Authorization": login}), (f"/t/{secret}{path}", {})):
                answer = ask(place, **headers)
                assert (answer.status, b"canary" in answer.read()) in {(404, False), (400, False)}, place


def test_no_other_site_reads_or_writes_by_a_browser_of_its_reader(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    FilePublisher(tmp_path / "public").publish([Artifact("index.html", b"canary")])
    assert run("access", "add", "ann", "--config", config) == 0
    (secret,) = set(re.findall(r"[\w-]{43}", run.out))
    with answering(config) as client, raw(client) as ask:
        for path in ("/", f"/t/{secret}/", "/healthz", f"/t/{secret}/nothing", "/t/wrong/"):
            for method in (
                "GET",
                "HEAD",
                "OPTIONS",
                "POST",
                "PUT",
                "DELETE",
                "PATCH",
                "TRACE",
                "PROPFIND",
                "X",
            ):
                answer = ask(path, method, Origin="https://evil.example")
                told = {name.lower(): value for name, value in answer.getheaders()}
                assert not [name for name in told if name.startswith("access-control-")]
                assert told["referrer-policy"] == "no-referrer"  # the address of a page may be a secret
                assert told["x-content-type-options"] == "nosniff"
                assert "frame-ancestors 'none'" in told["content-security-policy"]
                assert "public" not in told.get("cache-control", "")
                assert method in {"GET", "HEAD"} or answer.status in {400, 405}
                assert secret.encode() not in answer.read()
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "[::1].evil.example",
        ):
            assert b"canary" not in ask("/", Host=host).read()
        assert ask(f"/{'a/' * 20_000}").status in {400, 401, 404, 414}


def test_another_name_is_not_answered_before_anybody_has_access(tmp_path: Path) -> None:
    config = configure(tmp_path)
    FilePublisher(tmp_path / "public").publish([Artifact("index.html", b"canary")])
    with answering(config) as client, raw(client) as ask:
        assert ask("/").read() == b"canary"
        for host in (
            *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:80"),
            *("127.0.0.1:80:80.evil.example", "evil.example#127.0.0.1", "127.0.0.1/.evil.example", ""),
            *("2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "127.0.0.1,evil.example", "localhost."),
        ):
            answer = ask("/", Host=host)
            assert (answer.status, b"canary" in answer.read()) == (400, False), host


# --- secrets ----------------------------------------------------------------------------------

KINDS = ("smtp", "hook", "key", "proxy", "client", "refresh", "imap", "feed")
CANARIES = {kind: f"{kind}-canary-7Jq/+&x" for kind in KINDS}
SOURCE = """
from digest.core.model import Reading, Request
from digest.ports import Secret
class Keyed:
    def __init__(self, name, *, key: Secret):
        self.name, self.key = name, key
    def collect(self, period):
        key = self.key()
        url, headers = "http://papers.example.org/", (("X-Api-Key", key),)
        page = yield Request(url, headers=headers, secrets=(("k", key),))
        raise ValueError(f"{page.content!r} of {key}")
"""


class Echo(BaseHTTPRequestHandler):
    """A server and a proxy that says whatever it was told."""

    def do_GET(self) -> None:
        said = f"{self.path} {dict(self.headers)}"
        status = 200 if "papers.example.org" in self.path or self.command == "POST" else 403
        self.send_response(status, said.replace("\n", " "))
        self.send_header("X-Said", said)
        self.end_headers()
        self.wfile.write(said.encode())

    do_POST = do_CONNECT = do_GET  # noqa: N815 - names of http.server's

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def full_of_secrets(folder: Path, port: int, mail: str) -> Path:
    (folder / "keyed.py").write_text(SOURCE)
    config = configure(folder)
    login = "me:" + CANARIES["feed"].replace("/", "%2F").replace("+", "%2B").replace("&", "%26")
    text = f"""
[[sources]]
kind = "feed"
name = "private"
url = "http://{login}@feeds.example.org/x?token={login[3:]}"
[[sources]]
kind = "keyed:Keyed"
key = {{ env = "CANARY_KEY" }}
[network]
proxy = "http://127.0.0.1:{port}"
proxy_username = "me"
proxy_password = {{ env = "CANARY_PROXY" }}
[[webhooks]]
name = "lab"
url = {{ env = "CANARY_HOOK" }}
form = "json"
[serve]
base_url = "https://me.example.org/digest"
{mail}
"""
    config.write_text(config.read_text() + text)
    person = folder / "profiles" / "me.toml"
    person.write_text('recipients = ["me@example.org"]\nwebhooks = ["lab"]\n' + person.read_text())
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    return config


FAILING = """[email]
from = "digest@example.org"
host = "127.0.0.1"
port = 9
security = "none"
username = "me"
[email.oauth2]
token_url = "https://login.example.org/token"
client_id = "me"
client_secret = { env = "CANARY_CLIENT" }
refresh_token = { env = "CANARY_REFRESH" }
[email.imap]
host = "127.0.0.1"
port = 9
security = "none"
password = { env = "CANARY_IMAP" }
"""
WORKING = '[email]\nfrom = "digest@example.org"\ntransport = "eml"\nfolder = "mails"\n'


def spelt(secret: str) -> list[str]:
    """A secret as it may be met."""
    raw_ = secret.encode()
    shifted = (base64.b64encode(bytes(before) + raw_).decode()[4:-4] for before in range(3))
    return [secret, json.dumps(secret)[1:-1], "".join(f"%{byte:02X}" for byte in raw_), *shifted, secret[:17]]


@pytest.mark.parametrize("mail", [FAILING, WORKING], ids=["failing", "working"])
def test_no_command_tells_a_secret_and_no_file_holds_one(
    mail: str, tmp_path: Path, run: Run, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, secret in CANARIES.items():
        monkeypatch.setenv(f"CANARY_{kind.upper()}", secret)
    port = echo if mail == WORKING else 9
    monkeypatch.setenv("CANARY_HOOK", f"http://127.0.0.1:{port}/services/{CANARIES['hook']}")
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = full_of_secrets(tmp_path, echo, mail)
    with_config: list[tuple[object, ...]] = [
        ("check",), ("check", "--json"), ("check", "--online"), ("check", "--online", "--json"),
        ("run",), ("run", "--log", "json"), ("run", "--log", "logfmt"), ("status",), ("status", "--json"),
        ("outbox",), ("outbox", "list", "--json"), ("outbox", "show", "1"), ("outbox", "show", "2"),
        ("outbox", "show", "1", "--eml"), ("outbox", "retry", "1"), ("papers",), ("papers", "--json"),
        ("explain", "Swin"), ("explain", "Swin", "--json"), ("try", "Swin"), ("try", "Swin", "--json"),
        ("like", "Swin", "--no-fetch"), ("likes", "--json"), ("terms", "--json"),
        ("preview", "--out", tmp_path / "preview"), ("collect",), ("compose",), ("dispatch",),
        ("run", "--dry-run"), ("access", "list", "--json"), ("access", "add", "ann"),
    ]  # fmt: skip
    known = [(kind, form) for kind, secret in CANARIES.items() for form in spelt(secret)]
    codes = set()
    for command in with_config:
        codes.add(run(*command, "--config", config))
        said = run.out + run.err
        assert [kind for kind, form in known if form in said] == [], command
        assert "Traceback" not in said, command
    assert codes <= {0, 1, 2}
    if mail == WORKING:
        assert [path.suffix for path in (tmp_path / "mails").iterdir()] == [".eml"]
    (given,) = set(re.findall(r"/t/([\w-]{43})/", run.out))
    key = (tmp_path / "data" / "feedback.key").read_bytes()
    known += [("access", given), ("links", key.hex()), ("links", base64.b64encode(key).decode())]
    for path in (one for one in tmp_path.rglob("*") if one.is_file() and one != config):
        content = path.read_bytes().decode("latin-1")
        assert [kind for kind, form in known if form in content] == [], path
