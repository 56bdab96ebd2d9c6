"""Real feed readers subscribe to `digest serve`: each shows every entry once, and nothing else as new.

A reader is a function that updates its subscriptions and gives what it shows as new.
"""

from __future__ import annotations

import calendar
import json
import mailbox
import os
import re
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import feedparser  # type: ignore[import-untyped]
import httpx
import pytest
from reader import make_reader
from served import serving
from tools import needed
from world import DAY, NOON, configure

from digest import app

ATOM = "{http://www.w3.org/2005/Atom}"
FORMS = {"atom": "atom.xml", "rss": "rss.xml", "json": "feed.json"}
HEAD = """Get trending papers in your email inbox once a day!
Get trending papers in your email inbox!
Subscribe"""
FIRST = (
    "SwinLeaf: Shifted Windows for Counting Leaves",
    "Talking Faces Need a Swin & a Mouth",
    "Is p<0.05 Enough for Swin Lanterns?",
)
SECOND = ("SwinRoot: What Leaves Hang On", "Swin Encoders That Wink “Late”")


class Seen(NamedTuple):
    """An entry as a reader shows it."""

    feed: str  # its address
    title: str
    link: str
    date: int  # seconds since 1970


Update = Callable[[Path, Sequence[str]], list[Seen]]


def said(*command: str, home: Path) -> str:
    """What a program prints; it finds no settings of a person's and leaves none."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = subprocess.run(
        command,
        env=known | {"HOME": str(home), "LC_ALL": "C.UTF-8", "TMPDIR": str(home), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def newsboat(home: Path, urls: Sequence[str]) -> list[Seen]:
    (home / "urls").write_text("\n".join(urls) + "\n", encoding="utf-8")
    (home / "config").touch()
    files = ["-u", home / "urls", "-c", home / "cache.db", "-C", home / "config"]
    said(needed("newsboat"), *map(str, files), "-x", "reload", home=home)
    with closing(sqlite3.connect(home / "cache.db")) as cache_:
        rows = cache_.execute("SELECT feedurl, title, url, pubDate FROM rss_item WHERE unread").fetchall()
        cache_.execute("UPDATE rss_item SET unread = 0")
        cache_.commit()
    return [Seen(*row) for row in rows]


def rss2email(home: Path, urls: Sequence[str]) -> list[Seen]:
    config = home / "rss2email.cfg"
    common = "date-header = True\nemail-protocol = maildir\n"
    config.write_text(
        f"[DEFAULT]\nfrom = r2e@example.org\nto = reader@example.org\nmaildir-path = {home}\n"
        f"maildir-mailbox = mails\n{common}"
        + "".join(f"[feed.f{number}]\nurl = {url}\n" for number, url in enumerate(urls)),
        encoding="utf-8",
    )
    said(needed("r2e"), "-c", str(config), "-d", str(home / "r2e.json"), "run", home=home)
    found = []
    box = mailbox.Maildir(home / "mails")
    for key, mail in box.items():
        title = str(make_header(decode_header(mail["Subject"])))
        date = int(parsedate_to_datetime(mail["Date"]).timestamp())
        found.append(Seen(mail["X-RSS-Feed"], " ".join(title.split()), mail["X-RSS-URL"], date))
        box.remove(key)
    return found


def lemon24_reader(home: Path, urls: Sequence[str]) -> list[Seen]:
    with closing(make_reader(str(home / "reader.db"))) as reader:
        for url in urls:
            reader.add_feed(url, exist_ok=True)
        for result in reader.update_feeds_iter(scheduled=False):
            assert not isinstance(result.value, Exception), result
        found = []
        for entry in reader.get_entries(read=False):
            assert entry.published
            date = int(entry.published.timestamp())
            found.append(Seen(entry.feed_url, entry.title or "", entry.link or "", date))
            reader.mark_entry_as_read(entry)
    return found


def feed_parser(home: Path, urls: Sequence[str]) -> list[Seen]:
    """As programs use it that keep ids and validators themselves."""
    path = home / "known.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = []
    for url in urls:
        before = known.setdefault(url, {"etag": None, "modified": None, "ids": []})
        feed = feedparser.parse(url, etag=before["etag"], modified=before["modified"])
        assert not feed.bozo, feed.get("bozo_exception")
        before["etag"] = feed.get("etag", before["etag"])
        before["modified"] = feed.get("modified", before["modified"])
        for entry in feed.entries:
            if entry.id not in before["ids"]:
                before["ids"].append(entry.id)
                date = calendar.timegm(entry.published_parsed)
                found.append(Seen(url, entry.title, entry.link, date))
    path.write_text(json.dumps(known), encoding="utf-8")
    return found


def sfeed(home: Path, urls: Sequence[str]) -> list[Seen]:
    needed("curl")
    settings, folder = home / "sfeedrc", home / "feeds"
    before = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*")}
    lines = "".join(f'feed "{number}" "{url}"\n' for number, url in enumerate(urls))
    settings.write_text(f'sfeedpath="{folder}"\nfeeds() {{\n{lines}}}\n', encoding="utf-8")
    said(needed("sfeed_update"), str(settings), home=home)
    found = []
    for path in folder.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line not in before.get(path.name, "").splitlines():
                date, title, link, *_ = line.split("\t")
                found.append(Seen(urls[int(path.name)], title, link, int(date)))
    return found


READERS: list[tuple[Update, str, bool]] = [  # and whether it asks for what is newer than it has
    *((newsboat, form, True) for form in ("atom", "rss")),
    *((rss2email, form, True) for form in ("atom", "rss")),
    *((lemon24_reader, form, True) for form in FORMS),
    *((feed_parser, form, True) for form in ("atom", "rss")),
    *((sfeed, form, False) for form in ("atom", "rss")),
]


class Way:
    """A way to a server that writes down what was asked for and how it was answered."""

    def __init__(self, upstream: httpx.Client) -> None:
        self.answers: list[tuple[str, int]] = []
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                passed = ("accept", "accept-encoding", "if-none-match", "if-modified-since", "user-agent")
                headers = {name: self.headers[name] for name in passed if name in self.headers}
                request = upstream.build_request("GET", self.path)
                request.headers = httpx.Headers({"Host": request.headers["Host"]} | headers)
                answer = upstream.send(request, stream=True)
                body = b"".join(answer.iter_raw())
                answer.close()
                answers.append((self.path, answer.status_code))
                self.send_response(answer.status_code)
                for name in ("content-type", "content-encoding", "etag", "last-modified", "cache-control"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def way_to(upstream: httpx.Client) -> Iterator[Way]:
    way = Way(upstream)
    thread = threading.Thread(target=way.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield way
    finally:
        way.server.shutdown()
        thread.join()
        way.server.server_close()


class World:
    """A configuration of two profiles that ask for the same, and its public folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public = folder / "public"
        self.config = configure(
            folder, profiles=("me", "you"), extra='[feeds]\nbase_url = "https://me.example.org/digest"'
        )

    def run(self, titles: Sequence[str], day: int) -> None:
        if titles:
            papers = (f"{title}\nWe look at it, and at {at} more." for at, title in enumerate(titles))
            text = HEAD + "\n".join(papers)
            (self.folder / "inbox" / f"{day}.txt").write_text(text, encoding="utf-8")
        made = app.load(str(self.config), {})
        at = NOON + day * DAY
        with made.store() as store:
            assert [report.error for report in made.collect(store, at=at)] == [None]
            composed = [bool(one.digest) for one in made.compose(store, made.profiles(), at=at)]
            assert composed == [bool(titles)] * 2
            assert [done.error for done in made.dispatch(store, at=at) if done.error] == []

    def feeds(self, form: str) -> list[str]:
        """The paths of what one subscribes to."""
        found = (self.public / "feeds").rglob(FORMS[form])
        return sorted(path.relative_to(self.public).as_posix() for path in found)

    def entries(self, form: str, path: str, url: str) -> list[Seen]:
        """What stands in a feed."""
        content = (self.public / path).read_bytes()
        if form == "json":
            return [
                Seen(url, item["title"], item["url"], seconds(item["date_published"]))
                for item in json.loads(content)["items"]
            ]
        root = ET.fromstring(content)  # noqa: S314 - our own
        if form == "rss":
            return [
                Seen(
                    url,
                    item.findtext("title") or "",
                    item.findtext("link") or "",
                    int(parsedate_to_datetime(item.findtext("pubDate") or "").timestamp()),
                )
                for item in root.iter("item")
            ]
        return [
            Seen(
                url,
                entry.findtext(f"{ATOM}title") or "",
                entry.find(f"{ATOM}link[@rel='alternate']").get("href", ""),  # type: ignore[union-attr]
                seconds(entry.findtext(f"{ATOM}published") or ""),
            )
            for entry in root.iter(f"{ATOM}entry")
        ]

    def rebuild(self) -> None:
        """As a new checkout or a restored backup has it: the same bytes at another time."""
        for path in self.public.rglob("*"):
            os.utime(path, (1_900_000_000, 1_900_000_000))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("update", "form", "asks"), [pytest.param(*row, id=f"{row[0].__name__}-{row[1]}") for row in READERS]
)
def test_a_reader_gets_every_entry_once(tmp_path: Path, update: Update, form: str, *, asks: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    world = World(tmp_path)
    world.run(FIRST, 0)
    paths = world.feeds(form)
    assert set(paths) >= {f"feeds/{name}/{FORMS[form]}" for name in ("me", "you")}

    with serving(world.config) as client, way_to(client) as way:
        urls = [f"{way.address}/{path}" for path in paths]

        def standing() -> list[Seen]:
            return [
                entry
                for path, url in zip(paths, urls, strict=True)
                for entry in world.entries(form, path, url)
            ]

        first = standing()
        titles = Counter(entry.title for entry in first if re.search("/(me|you)/", entry.feed))
        assert titles == dict.fromkeys(FIRST, 2)  # two profiles share a paper, and both show it
        assert sorted(update(home, urls)) == sorted(first)

        assert update(home, urls) == []  # newsboat keeps validators from its second visit on
        way.answers.clear()
        assert update(home, urls) == []
        assert {status for path, status in way.answers if path[1:] in paths} == {304 if asks else 200}

        world.run((), 1)
        world.rebuild()
        assert update(home, urls) == []

        world.run(SECOND, 2)
        new = [entry for entry in standing() if entry not in first]
        titles = Counter(entry.title for entry in new if re.search("/(me|you)/", entry.feed))
        assert titles == dict.fromkeys(SECOND, 2)
        assert sorted(update(home, urls)) == sorted(new)
