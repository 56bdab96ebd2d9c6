"""Every entry by which bytes of others come in: how it is called, where to begin, and what must hold.

A target takes any bytes and calls the entry as the program does. Errors of digest's own are an answer;
whatever else is raised is a fault, and so is a result that the rest of the program cannot bear.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import httpcore
import httpx
from digests import profile
from hostile import HARMLESS, PLACES, skeleton
from sites import NOW, TEN_DAYS, converse
from sites import page as page_of
from world import configure

from digest import app
from digest.cli.rank import rank
from digest.core import identity, mailbox, refusals, topics
from digest.core.document import reading_document
from digest.core.match import Matcher, evaluate
from digest.core.model import Interest, Page, Paper, Reading, Request
from digest.core.plain import Plain, undo_markup
from digest.core.query import compile_interest
from digest.core.shelf import shelf
from digest.core.tex import readable
from digest.core.text import cut
from digest.deliver.webhook import WebhookDeliverer
from digest.errors import DigestError
from digest.fetch.http import HttpFetcher, Network
from digest.oauth import AccessToken
from digest.plugins import load, names
from digest.render import environment
from digest.render.archive import ArchiveRenderer
from digest.render.email import EmailRenderer
from digest.render.feed import FeedRenderer
from digest.render.webhook import WebhookRenderer
from digest.sources import read_page
from digest.web.server import application

DATA = Path(__file__).resolve().parent.parent / "data"
SERVED = Path(os.environ.get("DIGEST_TEST_SHARED", DATA.parent.parent.parent / "shared")) / "fixtures"
"""Documents as sites served them, which are not ours to hand on and may be absent."""

_MOST_REQUESTS = 1_000  # of one reading; the API that gives fewest rows a page is asked 400 times
_LARGEST = 2**31 - 1  # a count in a database
_SCHEMES = {"arxiv", "doi", "pmid", "openreview", "corpus", "openalex", "url", "title"}
_BETWEEN = b"\n--8<--\n"  # one answer and the next


@dataclass(frozen=True)
class Target:
    """An entry: `call` takes any bytes, `seeds` are where to begin."""

    call: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    files: bool = True  # reads what may be megabytes; of the others, nobody hands in more than a line


# --- what must hold ---------------------------------------------------------------------------


# Controls, by which a terminal takes orders, halves of a character, and ends of lines.
_NO_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def _check_line(text: str, what: str) -> None:
    bad = _NO_LINE.search(text)
    assert not bad, f"{what} has {bad[0]!r}"


def _check_address(address: str | None, what: str) -> None:
    if address is not None:
        parts = urlsplit(address)
        assert parts.scheme in {"http", "https"}, f"{what} is {address[:50]!r}"
        assert parts.hostname, f"{what} is {address[:50]!r}"
        assert not re.search(r"\s", address), f"{what} has white space"
        _check_line(address, what)


def check_paper(paper: Paper) -> None:
    """What everything after a reader relies on."""
    assert paper.title.strip(), "there is no title"
    for name in ("title", "abstract", "organization", "doi", "ai_summary", "id"):
        _check_line(getattr(paper, name) or "", name)
    for name in ("authors", "categories", "keywords", "identifiers"):
        for text in getattr(paper, name):
            assert text.strip(), f"{name} has an empty one"
            _check_line(text, name)
    for name in ("url", "pdf_url", "code_url", "project_url", "thumbnail_url"):
        _check_address(getattr(paper, name), name)
    for name in ("author_count", "code_stars"):
        assert 0 <= (getattr(paper, name) or 0) <= _LARGEST, name
    for known in (paper.id, *paper.identifiers):
        assert known.partition(":")[0] in _SCHEMES, known[:50]
        assert known.partition(":")[2], known
    assert identity.merge(paper, paper).id == paper.id
    assert identity.aliases(paper)[0] == paper.id


def check_reading(reading: Reading, content: bytes) -> None:
    """What the pipeline relies on."""
    assert len(reading.listings) <= len(content)
    for listing in reading.listings:
        check_paper(listing.paper)
        assert len(listing.paper.abstract) <= max(len(content), 100_000), "a book of an abstract"
        for count in (listing.upvotes, listing.comments):
            assert 0 <= (count or 0) <= _LARGEST, "a count"
        _check_line(listing.announce_type or "", "announce_type")
    json.dumps(reading_document(reading), ensure_ascii=False).encode()


# --- the entries ------------------------------------------------------------------------------


def _read(name: str, content: bytes) -> None:
    """One reader, also where it does not recognise the page: the site's own source does not ask."""
    page = page_of(content, "https://lab.example/page?x")
    reader = next(reader for reader in app.readers() if reader.name == name)
    reader.recognises(page)
    check_reading(reader.read(page), content)


def _read_any(content: bytes) -> None:
    """`digest read` and saved pages."""
    check_reading(read_page(page_of(content), app.readers()), content)


_SETTINGS: dict[str, dict[str, object]] = {
    "arxiv": {"categories": ["cs.CV"]},
    "crossref": {"query": "teapots"},
    "europepmc": {"query": "teapots"},
    "feed": {"url": "https://lab.example/feed"},
    "huggingface": {"pages": ["daily", "weekly"], "query": "swin"},
    "openalex": {"query": "teapots"},
    "openreview": {"venues": ["Teapots.example/2026/Conference"], "query": "teapots"},
    "pubmed": {"query": "teapots"},
    "semantic_scholar": {"query": "teapots"},
}


def _collect(kind: str, content: bytes) -> None:
    """A source whose site answers with these bytes, piece by piece and then the last piece for ever."""
    pieces = content.split(_BETWEEN)
    asked = 0

    def site(request: Request) -> Page:
        nonlocal asked
        asked += 1
        assert asked <= _MOST_REQUESTS, "it asks for ever"
        _check_address(request.url, "a request")
        return Page(request.url, pieces[min(asked, len(pieces)) - 1], None, NOW)

    reading, _ = converse(load("sources", kind)(**_SETTINGS.get(kind, {})), TEN_DAYS, site)
    check_reading(reading, content * asked)


class _Answering(httpx.AsyncHTTPTransport):
    """Connections over which the same bytes come, whatever is asked."""

    def __init__(self, content: bytes) -> None:
        pieces = [content[at : at + 4096] for at in range(0, len(content), 4096)]
        self._pool = httpcore.AsyncConnectionPool(network_backend=httpcore.AsyncMockBackend(pieces))


_context = cache(ssl.create_default_context)


def _fetch(content: bytes) -> None:
    """A page over HTTP: the status line, all headers, how the body is packed, where it leads."""

    async def soon(_: float) -> None:
        pass

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14"]

    fetcher = HttpFetcher(
        user_agent="digest",
        max_bytes=1_000_000,
        network=Network(context=_context()),
        transport=_Answering(content),
        resolve=resolve,
        sleep=soon,
        clock=lambda: 0.0,
    )
    with contextlib.closing(fetcher):
        page = fetcher.fetch(Request("http://lab.example/a", etag='"a"'), now=NOW)
    assert page is None or len(page.content) <= 1_000_000
    for text in (page.media_type, page.etag, page.last_modified) if page else ():
        assert "\n" not in (text or "")
    if page and page.served_at:
        assert page.served_at.tzinfo
        page.served_at.timestamp()


def _client(content: bytes) -> httpx.Client:
    """A client whose server answers with a status, an empty line and a body."""
    status, _, body = content.partition(b"\n\n")
    code = int(status) if status.isdigit() and 100 <= int(status[:4]) < 600 and len(status) == 3 else 200
    answer = httpx.Response(code, stream=httpx.ByteStream(body), headers={"Retry-After": repr(body[:9])})
    return httpx.Client(transport=httpx.MockTransport(lambda _: answer), trust_env=False)


def _token(content: bytes) -> None:
    """What the server of a login by OAuth 2 answers."""
    token = AccessToken(
        token_url="https://login.example/token",  # noqa: S106 - an address
        client_id="digest",
        client_secret=None,
        refresh_token=lambda: "kept",
        scope=None,
        keep=lambda _: None,
        now=lambda: NOW,
        client=lambda: _client(content),
    )
    token.get()


def _webhook(content: bytes) -> None:
    """What a webhook answers."""
    deliverer = WebhookDeliverer(
        {"team": lambda: "https://hooks.example/secret-of-ours"},
        user_agent="digest",
        client=lambda: _client(content),
    )
    try:
        deliverer.deliver(b"{}", "team", handing_over=lambda: None)
    except DigestError as error:
        assert "secret-of-ours" not in str(error)  # noqa: PT017 - it is passed on
        raise
    finally:
        deliverer.close()


@cache
def _folder(_purpose: str = "") -> Path:
    """A folder for a purpose, with a configuration, that is kept as long as the process."""
    folder = Path(_FOLDERS.enter_context(tempfile.TemporaryDirectory()))
    configure(folder, extra='[serve]\nbase_url = "https://me.example.org/digest"')
    return folder


_FOLDERS = contextlib.ExitStack()


def _configuration(content: bytes) -> None:
    """A configuration, and what it builds."""
    path = _folder() / "other.toml"
    path.write_bytes(content)
    made = app.load(str(path), {})
    assert made.sources is not None


def _profile(content: bytes) -> None:
    folder = _folder("profiles")
    (folder / "profiles" / "me.toml").write_bytes(content)
    app.load(str(folder / "digest.toml"), {})


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


_SAMPLE = Paper(
    identity.title_id("Swin-V2"),
    "Swin-V2: Talking\n Faces, lip-sync and β-VAE for C++",
    "We test {\\em SE(3)} equivariance, GANs & ViTs.",
    ("Ada Bright", "J. Schrödinger"),
    categories=("cs.CV",),
)


def _query(content: bytes) -> None:
    """A query, looked for in a paper."""
    compiled = compile_interest(Interest("x", query=_text(content)))
    outcome = evaluate(compiled, Matcher([compiled]).scan(_SAMPLE))
    assert all(match.start <= match.end for match in outcome.matches)


def _keyword(content: bytes) -> None:
    """A keyword of each list; `try` and `explain` take them from the command line."""
    words = (_text(content),)
    for name in ("keywords", "authors", "categories"):
        compiled = compile_interest(Interest("x", **{name: words}))  # type: ignore[arg-type]
        evaluate(compiled, Matcher([compiled]).scan(_SAMPLE))


def _topics(content: bytes) -> None:
    for interest in topics.parse(_text(content)):
        compile_interest(interest)


def _check_plain(plain: Plain, original: str) -> None:
    """Every character of the plain text stands somewhere in the original, in order."""
    before = 0
    for at in range(len(plain.text)):
        start, end = plain.span(at, at + 1)
        assert before <= start <= end <= len(original)
        before = start


def _tex(content: bytes) -> None:
    """A title or abstract as it is shown."""
    text = _text(content)
    _check_plain(readable(text), text)


def _words(content: bytes) -> None:
    """A title or abstract as it is compared."""
    text = _text(content)
    made = cut(text)
    _check_plain(made.plain, text)
    for edge in made.edges:
        assert edge.label
        assert edge.source < edge.target
        assert 0 <= edge.start < edge.end <= len(made.plain.text)
    _check_plain(undo_markup(text), text)


def _identity(content: bytes) -> None:
    """What a person or a page may call a paper."""
    text = _text(content)
    assert all(identity.names(text)) or not text
    title = identity.normalised_title(text)
    assert identity.normalised_title(title) == title


def _mailbox(content: bytes) -> None:
    text = _text(content)
    with contextlib.suppress(ValueError):  # which the configuration translates
        assert re.fullmatch(r"[^\s<>]+@[!-~]+", mailbox.parse(text).address)
    mailbox.key(text)


def _refusal(content: bytes) -> None:
    for stage in ("greeting", "password", "token", "sender", "recipient", "message"):
        refusals.advise(stage, _text(content), "smtp.example.org")


def _ranked(content: bytes) -> None:
    """`digest rank`: papers and requests, a JSON object a line."""
    papers, _, requests = content.partition(_BETWEEN)
    folder = _folder()
    (folder / "papers").write_bytes(papers)
    (folder / "requests").write_bytes(requests)
    assert rank.callback
    rank.callback(folder / "papers", folder / "requests", folder / "answers", "words")
    for line in (folder / "answers").read_text(encoding="utf-8").splitlines():
        json.loads(line)


_BASE = "https://me.example.org/digest"


@cache
def _renderers() -> tuple[EmailRenderer, FeedRenderer, ArchiveRenderer, WebhookRenderer]:
    templates = environment()
    return (
        EmailRenderer(templates, sender="Digest <digest@example.org>", base_url=_BASE),
        FeedRenderer(templates, base_url=_BASE, authority="me.example.org"),
        ArchiveRenderer(templates, base_url=_BASE),
        WebhookRenderer(templates, base_url=_BASE),
    )


@cache
def _tags(place: str) -> frozenset[object]:
    """What the mail consists of with a harmless text in a place."""
    return frozenset(part[0] for part in skeleton(_renderers()[0].html(profile(), PLACES[place](HARMLESS))))


def _rendered(content: bytes) -> None:
    """A text of a page in a place of a digest, and everything that is made of that."""
    text = _text(content)
    place = sorted(PLACES)[len(content) % len(PLACES)]
    made = PLACES[place](text)
    mail, feeds, archive, webhooks = _renderers()
    mail.compose(profile(), made, "Rea Der <reader@example.org>")
    assert {part[0] for part in skeleton(mail.html(profile(), made))} <= _tags(place)
    for renderer in (feeds, archive):
        for artifact in renderer.render(profile(), shelf([made])):
            if artifact.path.endswith(".xml"):
                ET.fromstring(artifact.content)  # noqa: S314 - made by us
    for form in webhooks.forms():
        json.loads(webhooks.compose(profile(), made, form=form, values={"topic": "papers"}))


@cache
def _server() -> httpx.ASGITransport:
    made = app.load(str(_folder("server") / "digest.toml"), {})
    with made.store():
        pass
    public = made.config.output_dir / "feeds" / "me"
    public.mkdir(parents=True)
    (public / "atom.xml").write_text("<feed/>", encoding="utf-8")
    return httpx.ASGITransport(application(made, host="127.0.0.1", is_public=False))


def _request(content: bytes) -> None:
    """A request to `digest serve`: the request line and headers, an empty line, a form."""
    head, _, body = content.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, path = first.partition(b" ")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method.decode("latin-1")[:10],
        "scheme": "http",
        "path": _text(path.partition(b"?")[0]),
        "raw_path": path.partition(b"?")[0],
        "query_string": path.partition(b"?")[2],
        "root_path": "",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
        "headers": [
            (b"host", b"localhost"),
            *(
                (name.strip().lower(), value.strip())
                for name, colon, value in (line.partition(b":") for line in lines)
                if colon
            ),
        ],
    }
    said: list[dict[str, object]] = []
    asked = False

    async def receive() -> dict[str, object]:
        nonlocal asked
        if asked:  # the client waits for the answer
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    asyncio.run(_server().app(scope, receive, send))  # type: ignore[arg-type]
    assert int(str(said[0]["status"])) < 500


# --- all of them ------------------------------------------------------------------------------


def _files(*folders: Path) -> list[bytes]:
    return [
        path.read_bytes()
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".expected.json", ".md.txt"))
    ]


_SERVED_FOR = {
    "arxiv": "arxiv_*",
    "feed": "feeds",
    "huggingface": "hf_*",
}


def _seeds_of(name: str) -> list[bytes]:
    """Our own samples of a place, and what the place itself served."""
    served = sorted(SERVED.glob(_SERVED_FOR.get(name, name))) if SERVED.is_dir() else []
    return _files(DATA / name, *served)


_ANSWERS = [
    b'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nETag: "a"\r\nContent-Length: 3\r\n\r\nabc',
    b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 07:00:00 GMT\r\nAge: 3\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 429 Too Many\r\nRetry-After: Fri, 20 Nov 2026 07:00:09 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nRateLimit: "api";r=0;t=123\r\nContent-Length: 1\r\n\r\na',
    b"HTTP/1.1 302 Found\r\nLocation: http://lab.example/b?c=d#e\r\nContent-Length: 0\r\n\r\n",
]
_BODIES = [
    b'200\n\n{"access_token": "a", "expires_in": 3600, "refresh_token": "b"}',
    b'400\n\n{"error": "invalid_grant", "error_description": "AADSTS70008"}',
    b"429\n\n120",
    b"302\n\n",
]
_CONFIGURATION = (
    b'timezone = "Europe/Berlin"\ndata_dir = "data"\nprofiles = "profiles/*.toml"\ncontact = "a@b.example"\n'
    b'[schedule]\nat = ["07:00"]\ndays = ["mon"]\n[[sources]]\nkind = "arxiv"\ncategories = ["cs.CV"]\n'
    b'[[sources]]\nkind = "feed"\nname = "jmlr"\nurl = "https://a.example/x"\n'
    b'[email]\nfrom = "Digest <me@example.org>"\nhost = "smtp.example.org"\nport = 465\nsecurity = "tls"\n'
    b'username = "me"\npassword = { env = "X" }\n[feeds]\nbase_url = "https://me.example.org/"\nentries = 9\n'
)
_PROFILE = (
    b'name = "me"\ntitle = "Me"\nrecipients = ["Me <me@example.org>"]\nchannels = ["feeds"]\nmax_papers = 3\n'
    b'[[interests]]\nname = "Swin"\nkeywords = ["Swin", "shifted window"]\nweight = 2.0\nexclude = ["a b"]\n'
    b"query = 'title:swin AND (\"lip sync\"~3 OR NOT category:cs.*)'\n"
)
_QUERIES = (
    b'title:swin AND ("lip sync"~3 OR talking-head*) AND NOT facebook',
    b"-(a OR (b c)) =SAM author:Bright category:cs.*",
    b'"SE(3) equivariance" C++ \xce\xb2-VAE',
)
_REQUESTS = (
    b'GET /feeds/me/atom.xml\nAccept-Encoding: gzip;q=0.5\nIf-None-Match: W/"a", "b"\n\n',
    b"GET /archive/me/\nIf-Modified-Since: Fri, 20 Nov 2026 07:00:00 GMT\n\n",
    b"GET /t/abc/feeds/me/\nHost: me.example.org\nAuthorization: Basic YTpi\nForwarded: for=x\n\n",
    b"GET /stop/me?token=a&address=b%40c.example\n\n",
    b"POST /stop/me?token=a&address=b\nContent-Type: application/x-www-form-urlencoded\n\nstart=again",
    b"POST /opinion/like/me\nContent-Type: multipart/form-data; boundary=b\n\n"  # noqa: ISC004 - one form
    b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\na\r\n--b--\r\n',
    b"GET /healthz\n\n",
)
_RANK = (
    b'{"id": "a", "title": "Swin", "abstract": "We shift windows."}\n{"id": "b", "title": "Tea"}\n'
    + _BETWEEN
    + b'{"qid": "1", "keywords": ["Swin", "tea pot"], "liked": ["a"], "candidates": ["a", "b"]}\n'
)


def _titles() -> list[bytes]:
    rows = (DATA / "tex" / "shown.tsv").read_bytes().split(b"\n")
    return [row.partition(b"\t")[0] for row in rows if row and not row.startswith(b"#")]


def _hostile() -> list[bytes]:
    corpus = json.loads((DATA / "hostile.json").read_text(encoding="utf-8"))
    return [one["text"].encode("utf-8", "surrogatepass") for one in corpus if isinstance(one["text"], str)]


def _targets() -> dict[str, Target]:
    found = {
        f"read-{name}": Target(partial(_read, name), partial(_seeds_of, name)) for name in names("readers")
    }
    found["read"] = Target(_read_any, lambda: [seed for name in names("readers") for seed in _seeds_of(name)])
    for kind in names("sources"):
        if kind != "file":  # which reads what `read` does
            found[f"source-{kind}"] = Target(
                partial(_collect, kind),
                # Small ones, because the last one is read for ever.
                partial(_files, DATA / ("biorxiv" if kind == "medrxiv" else kind)),
            )
    line = partial(Target, files=False)
    return found | {
        "fetch": Target(_fetch, lambda: _ANSWERS),
        "token": Target(_token, lambda: _BODIES),
        "webhook": Target(_webhook, lambda: _BODIES),
        "configuration": line(_configuration, lambda: [_CONFIGURATION]),
        "profile": line(_profile, lambda: [_PROFILE]),
        "query": line(_query, lambda: _QUERIES),
        "keyword": line(_keyword, lambda: [*_QUERIES, b"=SAM", b"diffus*", b'"a b"~3', b"K. He"]),
        "topics": line(_topics, lambda: [b'Swin, talking face or "lip sync" but not facebook', *_QUERIES]),
        "tex": Target(_tex, _titles),
        "words": Target(_words, lambda: [*_titles(), *_hostile()]),
        "identity": Target(
            _identity,
            lambda: [b"10.1101/2026.01.02.123456v2.full", b"https://arxiv.org/abs/cs/0701001v1", *_titles()],
        ),
        "mailbox": line(_mailbox, lambda: [b'"A, B" <a@b.example>', "a@bücher.example".encode()]),
        "refusal": Target(_refusal, lambda: [b"550 5.1.1 No such user: daily sending quota exceeded"]),
        "rank": Target(_ranked, lambda: [_RANK]),
        "render": Target(_rendered, lambda: [*_hostile(), *_titles()[:20]]),
        "serve": line(_request, lambda: _REQUESTS),
    }


TARGETS = _targets()


def attempt(name: str, content: bytes) -> bool:
    """Whether a target takes some bytes; it may refuse them, by an error of digest's own."""
    try:
        TARGETS[name].call(content)
    except DigestError:
        return False
    return True
