"""What others make of the feeds: the schemas of their formats, and w3c/feedvalidator.

A case is a document of `data/feeds/sound` and an edit of `data/feeds/spoiled.json` that a judge must notice.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from digests import CORPUS, chosen, digest, elements, hostile, large, paper, profile
from jsonschema import Draft202012Validator
from lxml import etree
from world import DAY, NOON, configure

from digest import app
from digest.core.identity import doi
from digest.core.model import Digest, Match, Section
from digest.core.shelf import shelf
from digest.render import environment
from digest.render.feed import FeedRenderer

DATA = Path(__file__).resolve().parent / "data" / "feeds"
BASE = "https://me.example.org/digest"
SPOILED = json.loads((DATA / "spoiled.json").read_text(encoding="utf-8"))
LIMIT = 5_000_000  # bytes; w3c/feedvalidator reads no more either
NAMES = {
    "a": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "fh": "http://purl.org/syndication/history/1.0",
}
# What readers keep of HTML, and nothing by which it could act or look like something else.
TAGS = frozenset(
    "a abbr b blockquote br code div em h2 h3 h4 hr i img li mark ol p s small span strong sub sup ul".split()  # noqa: SIM905 - as a list it would fill a page
)
ATTRIBUTES = {"href", "src", "alt", "width", "height", "title", "lang", "dir"}


class Entry(NamedTuple):
    """An entry as readers know it."""

    id: str
    title: str
    url: str
    published: datetime
    content: str


class Feed(NamedTuple):
    """A feed as readers know it."""

    address: str | None  # where it says that it is
    older: str | None  # where older entries are
    updated: datetime | None
    is_archive: bool
    entries: tuple[Entry, ...]


@cache
def grammar(form: str) -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(DATA / f"{form}.rng")))


@cache
def json_schema() -> Any:  # noqa: ANN401 - jsonschema is untyped
    return Draft202012Validator(json.loads((DATA / "jsonfeed.schema.json").read_text(encoding="utf-8")))


def form_of(path: Path) -> str | None:
    """The format of a file, by its name."""
    found = re.fullmatch(r"(atom|rss)(?:-\d+)?\.xml|(feed)(?:-\d+)?\.json|.+\.(opml)", path.name)
    return found and next(filter(None, found.groups()))


def feeds_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if form_of(path))


def parsed(path: Path) -> Any:  # noqa: ANN401 - lxml's elements are not quite typed
    return etree.parse(str(path), etree.XMLParser(resolve_entities=False, huge_tree=True)).getroot()


def first(found: Sequence[Any]) -> str:
    return str(found[0]) if found else ""


def read(path: Path) -> Feed:
    """A valid document of any form but OPML."""
    if path.suffix == ".json":
        feed = json.loads(path.read_text(encoding="utf-8"))
        return Feed(
            feed.get("feed_url"),
            feed.get("next_url"),
            None,
            "-" in path.stem,
            tuple(
                Entry(
                    item["id"],
                    item.get("title", ""),
                    item.get("url", ""),
                    datetime.fromisoformat(item["date_published"]),
                    item.get("content_html", ""),
                )
                for item in feed["items"]
            ),
        )
    root = parsed(path)
    find = partial(root.xpath, namespaces=NAMES)
    date: Callable[[str], datetime]
    if form_of(path) == "rss":
        rows, updated, date = "channel/item", "channel/lastBuildDate/text()", parsedate_to_datetime
        names = ["guid", "title", "link", "pubDate", "content:encoded"]
    else:
        rows, updated, date = "a:entry", "a:updated/text()", datetime.fromisoformat
        names = ["a:id", "a:title", "a:link[not(@rel) or @rel='alternate']/@href", "a:published", "a:content"]
    paths = [name if "@href" in name else f"{name}/text()" for name in names]
    entries = []
    for row in find(rows):
        identity, title, url, published, content = (
            first(row.xpath(name, namespaces=NAMES)) for name in paths
        )
        # A sign that nobody sees keeps "</" from reading as the end of an element.
        entries.append(Entry(identity, title.replace("<\u2060/", "</"), url, date(published), content))
    built = first(find(updated))
    return Feed(
        first(find("(.|channel)/a:link[@rel='self']/@href")) or None,
        first(find("(.|channel)/a:link[@rel='prev-archive']/@href")) or None,
        date(built) if built else None,
        bool(find("(.|channel)/fh:archive")),
        tuple(entries),
    )


# --- the judges of one file --------------------------------------------------------------------


def complaints(path: Path) -> list[str]:
    """What is wrong with a document; its schema first, and only then what no schema can say."""
    found = list(_of_schema(path))
    if not found:
        found = list(_of_opml(path) if form_of(path) == "opml" else _of_feed(path))
    if path.stat().st_size > LIMIT:
        found.append(f"{path.stat().st_size} bytes")
    return [f"{path.name}: {complaint}" for complaint in found]


def _of_schema(path: Path) -> Iterator[str]:
    if path.suffix == ".json":
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            yield str(error)
        else:
            for problem in json_schema().iter_errors(document):
                yield f"{problem.json_path}: {problem.message[:200]}"
        return
    try:
        root = parsed(path)
    except etree.XMLSyntaxError as error:
        yield str(error)
        return
    schema = grammar(form_of(path) or "")
    if not schema.validate(root):
        for entry in schema.error_log:
            yield f"{entry.line}: {entry.message[:200]}"


def _of_opml(path: Path) -> Iterator[str]:
    for address, times in Counter(parsed(path).xpath("//@xmlUrl")).items():
        if times > 1:
            yield f"{address} {times} times"


def _of_feed(path: Path) -> Iterator[str]:
    try:
        feed = read(path)
    except ValueError as error:  # a day that there is not
        yield str(error)
        return
    for identity, times in Counter(entry.id for entry in feed.entries).items():
        if times > 1:
            yield f"{identity} {times} times"
    dates = [entry.published for entry in feed.entries]
    # RSS has no fractions of a second, by which the entries of several profiles are told apart.
    is_of_all = path.parent.name == "feeds" and form_of(path) == "rss"
    if dates != sorted(dates if is_of_all else set(dates), reverse=True):
        yield "entries without an order"
    if feed.updated and dates and dates[0] > feed.updated:
        yield "an entry that is newer than the feed"
    if path.suffix == ".xml":
        yield from _of_links(parsed(path))
        yield from _of_weekdays(parsed(path))
    for entry in feed.entries:
        yield from _of_content(entry.content)


def _of_links(root: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """RFC 4287, 4.1.1, 4.1.2 and 4.2.7."""
    for holder in root.xpath("//*[a:link]", namespaces=NAMES):
        links = [
            (link.get("rel", "alternate"), link.get("type"), link.get("hreflang"))
            for link in holder.findall(f"{{{NAMES['a']}}}link")
        ]
        for link, times in Counter(links).items():
            if times > 1 and link[0] in {"alternate", "self"}:
                yield f"{times} links {link}"
    for entry in root.iter(f"{{{NAMES['a']}}}entry"):
        if not entry.xpath("a:link[not(@rel) or @rel='alternate']", namespaces=NAMES):
            yield "an entry without its page"


def _of_weekdays(root: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    for text in root.xpath("//pubDate/text() | //lastBuildDate/text()"):
        if format_datetime(parsedate_to_datetime(text))[:3] != text[:3]:
            yield f"{text}: another day of the week"


def _of_content(html: str) -> Iterator[str]:
    for tag, attributes in elements(html):
        if tag not in TAGS:
            yield f"<{tag}>"
        for name, value in attributes.items():
            if name not in ATTRIBUTES:
                yield f"<{tag} {name}>"
            elif name in {"href", "src"} and not re.fullmatch(r"https?://[!-~]+", value or ""):
                yield f"<{tag} {name}={value!r}>"


def case(name: str, wrong: str, folder: Path) -> Path:
    """A sound document, with the edit of that name."""
    text = (DATA / "sound" / name).read_text(encoding="utf-8")
    old, new = SPOILED[name][wrong]
    assert text.count(old) == 1
    path = folder / name
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SPOILED)
def test_a_sound_document_is_found_sound(name: str) -> None:
    assert complaints(DATA / "sound" / name) == []


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name in SPOILED for wrong in SPOILED[name]])
def test_what_is_wrong_is_noticed(name: str, wrong: str, tmp_path: Path) -> None:
    assert complaints(case(name, wrong, tmp_path))


# --- the feeds ---------------------------------------------------------------------------------


def copies(folder: Path, shared: Path, base_url: str | None) -> None:
    """What a run makes of the three text copies."""
    extra = f'[feeds]\nbase_url = "{base_url}"\nentries = 5' if base_url else ""
    config = configure(folder, extra=extra, profiles=("me", "you"))
    copied = sorted((shared / "fixtures" / "hf_text").glob("*.txt"))
    assert len(copied) == 3
    for path in copied:
        (folder / "inbox" / path.name).write_bytes(path.read_bytes())
    made = app.load(str(config), {})
    with made.store() as store:
        assert [report.error for report in made.collect(store, at=NOON)] == [None]
        assert [bool(composed.digest) for composed in made.compose(store, made.profiles(), at=NOON)] == [
            True
        ] * 2
        assert [done.error for done in made.dispatch(store, at=NOON) if done.error] == []


def written(folder: Path, name: str, *digests: Digest, title: str = "Lanterns") -> None:
    """The feeds of digests, as files."""
    made = FeedRenderer(environment(), base_url=BASE).render(profile(title=title), shelf(digests))
    for artifact in made:
        path = folder / name / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.content)


def of_papers(texts: Sequence[str], **fields: Callable[[str], Any]) -> Digest:
    return digest(
        Section(
            "Swin",
            tuple(
                chosen(paper(number, **{field: made(text) for field, made in fields.items()}))
                for number, text in enumerate(texts)
            ),
        )
    )


def of_addresses(texts: Sequence[str]) -> Digest:
    same = dict.fromkeys(("url", "pdf_url", "code_url", "project_url", "thumbnail_url"), str)
    # w3c/feedvalidator knows RFC 2396, which had no IPv6.
    return of_papers([text for text in texts if "//[2001:" not in text], **same)


def of_interests(texts: Sequence[str]) -> Digest:
    return digest(
        *(
            Section(text, (chosen(paper(number), Match(text, text, "title", 0, 4)),))
            for number, text in enumerate(texts)
        )
    )


def of_tails(texts: Sequence[str]) -> Digest:
    tail = tuple(chosen(paper(90 + number, title=text, url=text)) for number, text in enumerate(texts))
    return digest(Section("Swin", (chosen(paper()),)), overflow=tail)


PLACES: dict[str, Callable[[Sequence[str]], Digest]] = {
    "title": partial(of_papers, title=str),
    "abstract": partial(of_papers, abstract=str),
    "author": partial(of_papers, authors=lambda text: (text, text)),
    "organization": partial(of_papers, organization=str, authors=lambda _: ()),
    "category": partial(of_papers, categories=lambda text: (text, text)),
    "identity": partial(of_papers, id=lambda text: f"doi:{doi(f'10.5555/{text}')}"),
    "address": of_addresses,
    "interest": of_interests,
    "tail": of_tails,
}


def corpus(folder: Path, *, giant: bool) -> None:
    """Every hostile text in every place, as many in a feed as there are."""
    texts = [found.text for found in CORPUS.values() if found.giant == giant]
    for place, made in PLACES.items():
        written(folder, place, made(texts))
    for number, text in enumerate(texts):
        written(folder, f"profile {number}", digest(Section("Swin", (chosen(paper()),))), title=text)


def large_digests(folder: Path) -> None:
    written(folder, "one digest", large(300))
    days = [large(30 + day) for day in range(12)]
    dated = [replace(one, id=f"{day}", issued_at=one.issued_at - day * DAY) for day, one in enumerate(days)]
    written(folder, "a dozen", *dated)


@cache
def built(name: str, folder: Path, shared: Path | None) -> Path:
    """A folder of feeds."""
    folder.mkdir()
    match name:
        case "demo":
            assert list(app.demo(folder, at=NOON))
        case "hostile":
            corpus(folder, giant=False)
            written(folder, "everything", hostile())
        case "giant":
            corpus(folder, giant=True)
        case "large":
            large_digests(folder)
            written(folder, "nothing yet")
        case _:
            assert shared
            copies(folder, shared, BASE if name == "copies with an address" else None)
            return folder / "public"
    return folder


@pytest.fixture(params=["demo", "copies", "copies with an address", "hostile", "giant", "large"])
def feeds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shared = request.getfixturevalue("shared") if "copies" in request.param else None
    return built(request.param, tmp_path_factory.getbasetemp() / request.param, shared)


def test_the_feeds_keep_to_their_schemas(feeds: Path) -> None:
    files = feeds_below(feeds)
    assert {form_of(path) for path in files} >= {"atom", "rss", "feed"}
    assert [complaint for path in files for complaint in complaints(path)] == []


def test_every_form_says_the_same(feeds: Path) -> None:
    alike = defaultdict(list)
    for path in feeds_below(feeds):
        if form_of(path) != "opml":
            in_seconds = [
                one._replace(published=one.published.replace(microsecond=0)) for one in read(path).entries
            ]
            alike[path.parent, re.sub(r"\D", "", path.stem)].append(in_seconds)
    for one, *others in alike.values():
        assert others == [one, one]


def test_published_feeds_know_where_they_are_and_lead_to_all_that_is_older(
    tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> None:
    name = "copies with an address"
    root = built(name, tmp_path_factory.getbasetemp() / name, shared)
    files = {f"{BASE}/{path.relative_to(root).as_posix()}": path for path in feeds_below(root)}
    found = {address: read(path) for address, path in files.items() if form_of(path) != "opml"}
    assert [(address, feed.address) for address, feed in found.items() if feed.address != address] == []
    archives = {address for address in found if re.search(r"-\d+\.\w+$", address)}
    assert archives
    assert {feed.older for feed in found.values() if feed.older} == archives
    assert {address for address, feed in found.items() if feed.is_archive} == archives
    for listed in (path for path in files.values() if form_of(path) == "opml"):
        assert set(parsed(listed).xpath("//@xmlUrl")) <= set(found)


# --- w3c/feedvalidator -------------------------------------------------------------------------


def is_overlooked(finding: str) -> bool:
    """Whether the only archive is blamed for having no neighbour."""
    name, _, words = finding.partition(": ")
    path = Path(name)
    is_only = "-1" in path.stem and not path.with_name(path.name.replace("-1", "-2")).exists()
    return is_only and "ArchiveIncomplete" in words.split()


def validated(shared: Path, address: str | None, paths: Sequence[Path]) -> list[str]:
    """The findings of w3c/feedvalidator on files that are at an address."""
    tool = shared / "tools" / "feed_validate.py"
    where = ["--self", address] if address else []
    done = subprocess.run(
        [sys.executable, str(tool), "--strict", *where, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.count(" errors, ") == len(paths), done.stderr[-2000:]
    found = re.findall(r"^.*?: (?:ERROR|WARNING) .*$", done.stdout, re.MULTILINE)
    assert bool(found) == bool(done.returncode)
    return found


@pytest.fixture
def validator(shared: Path) -> Callable[[str | None, Sequence[Path]], list[str]]:
    if "FEEDVALIDATOR_SRC" not in os.environ:
        pytest.skip("FEEDVALIDATOR_SRC does not name the src of a checkout of w3c/feedvalidator")
    return partial(validated, shared)


def test_a_feed_validator_finds_nothing(
    feeds: Path, validator: Callable[[str | None, Sequence[Path]], list[str]]
) -> None:
    by_address = defaultdict(list)
    for path in feeds_below(feeds):
        if form_of(path) in {"atom", "rss"} and path.stat().st_size < LIMIT:
            by_address[read(path).address].append(path)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(validator, *zip(*by_address.items(), strict=True)))
    assert [line for lines in found for line in lines if not is_overlooked(line)] == []


def test_the_feed_validator_is_awake(
    validator: Callable[[str | None, Sequence[Path]], list[str]], tmp_path: Path
) -> None:
    address = "https://me.example.org/feeds/swin/atom-1.xml"
    assert validator(address, [DATA / "sound" / "atom.xml"]) == []
    (found,) = validator(address, [case("atom.xml", "an entry without an id", tmp_path)])
    assert "MissingElement" in found
