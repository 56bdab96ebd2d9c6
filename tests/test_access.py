"""Who may read what is served: secrets that are given and taken back, and who is let in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from served import PUBLIC, answering, started
from world import DAY, NOON, configure, listings, paper, report

from digest import app
from digest.core.access import Access, hashed, holder
from digest.core.model import Artifact
from digest.deliver.file import FilePublisher

OUTSIDE = {"Host": "me.example.org"}
FILES = (
    *("index.html", "archive/me/index.html", "archive/you/index.html", "feeds/feed.css", "feeds/atom.xml"),
    *("feeds/me/atom.xml", "feeds/me/swin/atom.xml", "feeds/you/atom.xml", "feeds/meadow/atom.xml"),
)
OF_ME = {"/archive/me/", "/feeds/feed.css", "/feeds/me/atom.xml", "/feeds/me/swin/atom.xml"}
PATHS = [f"/{path.removesuffix('index.html')}" for path in FILES]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def world(folder: Path, *, base_url: str | None = None) -> Path:
    serve = f'[serve]\nbase_url = "{base_url}"' if base_url else ""
    config = configure(folder, extra=f"{serve}\n[schedule]", profiles=("me", "you"))
    FilePublisher(folder / "public").publish([Artifact(path, path.encode()) for path in FILES])
    return config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return world(tmp_path)


@pytest.fixture
def client(config: Path) -> Iterator[httpx.Client]:
    with answering(config) as client:
        yield client


def give(run: Run, config: Path, name: str, *arguments: str) -> str:
    """Give somebody access; gives the secret."""
    assert run("access", "add", name, "--config", config, *arguments) == 0, run.err
    secret: str
    (secret,) = set(re.findall(r"[\w-]{43}", run.out))
    return secret


def test_a_secret_is_shown_once_and_of_it_the_hash_alone_is_kept(run: Run, config: Path) -> None:
    secrets = {give(run, config, name) for name in ("anna", "ben")}
    assert len(secrets) == 2
    assert run("access", "list", "--config", config) == 0
    assert not any(secret in run.out for secret in secrets)
    for path in (config.parent / "data").iterdir():
        assert not any(secret.encode() in path.read_bytes() for secret in secrets), path
    with closing(sqlite3.connect(config.parent / "data" / "digest.db")) as database:
        kept = {hash_ for (hash_,) in database.execute("SELECT hash FROM access")}
    assert kept == {hashed(secret) for secret in secrets}


def test_what_is_printed_can_be_opened_as_it_stands(run: Run, config: Path, client: httpx.Client) -> None:
    for arguments, feed in (((), "/feeds/rss.xml"), (("--profile", "me"), "/feeds/me/rss.xml")):
        name = "-".join(["reader", *arguments])
        FilePublisher(config.parent / "public").publish([Artifact(feed[1:], b"feed")])
        secret = give(run, config, name, *arguments)
        addresses = re.findall(r"http://127\.0\.0\.1:8470(/\S+)", run.out)
        assert addresses[0] == f"/t/{secret}{feed}"
        assert len(addresses) == 2
        assert [client.get(address).status_code for address in addresses] == [200, 200]
        assert f"user {name} with the password {secret}" in run.out
        assert client.get(feed, auth=(name, secret)).status_code == 200


def test_an_address_from_outside_is_printed_where_there_is_one(run: Run, tmp_path: Path) -> None:
    config = world(tmp_path, base_url=PUBLIC)
    secret = give(run, config, "anna", "--profile", "me")
    assert f"{PUBLIC}/t/{secret}/feeds/me/rss.xml\n" in run.out
    assert f"{PUBLIC}/t/{secret}/archive/me/\n" in run.out


def test_access_is_listed_and_nothing_is_given_twice_or_to_nobody(run: Run, config: Path) -> None:
    assert run("access", "list", "--config", config) == 0
    assert "nobody was given any" in run.out
    give(run, config, "Änne Müller")
    give(run, config, "ben", "--profile", "me")
    listed = run.json("access", "list", "--config", config)
    assert [(one["name"], one["profile"]) for one in listed] == [("ben", "me"), ("Änne Müller", None)]
    assert run("access", "list", "--config", config) == 0
    assert re.search(r"^ben +me, since \d\d \w{3} \d{4}$", run.out, re.MULTILINE)
    assert re.search(r"^Änne Müller +everything, since", run.out, re.MULTILINE)
    assert run("access", "add", "ben", "--config", config) == 1
    assert "ben has access already. For a new secret, run `digest access revoke ben` first." in run.err
    assert run("access", "add", "dora", "--profile", "her", "--config", config) == 2
    assert "no profile is called 'her'. There are me, you." in run.err
    for name in ("", "a:b", "a\x1b[2Jb"):
        assert run("access", "add", name, "--config", config) == 2
        assert "\x1b" not in run.err
    assert run("access", "revoke", "nobody", "--config", config) == 1
    assert "nobody has no access" in run.err
    assert run.json("access", "list", "--config", config) == listed


# --- the door ---------------------------------------------------------------------------------


def test_everybody_is_asked_as_soon_as_somebody_has_access_and_ever_after(
    run: Run, config: Path, client: httpx.Client
) -> None:
    assert client.get("/").headers["cache-control"] == "max-age=900"
    assert client.get("/", headers=OUTSIDE).status_code == 400
    secret = give(run, config, "anna")
    for headers in ({}, OUTSIDE, {"X-Forwarded-For": "192.0.2.1"}):
        refused = client.get("/", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="digest", charset="UTF-8"'
        assert client.get("/nothing", headers=headers).status_code == 401
        answer = client.get("/", headers=headers, auth=("anna", secret))
        assert answer.text == "index.html"
        assert answer.headers["cache-control"] == "private, max-age=900"
    assert run("access", "revoke", "anna", "--config", config) == 0
    # Nobody is left, and what was closed once does not open by itself.
    assert client.get("/").status_code == 401
    assert client.get("/", auth=("anna", secret)).status_code == 401
    assert client.get(f"/t/{secret}/").status_code == 404
    again = give(run, config, "anna")
    assert client.get("/", auth=("anna", again)).status_code == 200
    assert client.get("/", auth=("anna", secret)).status_code == 401


def test_each_reads_what_is_theirs_by_password_and_by_path(
    run: Run, config: Path, client: httpx.Client
) -> None:
    anna, ben = give(run, config, "anna"), give(run, config, "ben", "--profile", "me")
    for path in PATHS:
        bens = 200 if path in OF_ME else 307 if path == "/" else 404
        for name, secret, status in (("anna", anna, 200), ("ben", ben, bens)):
            by_password = client.get(path, auth=(name, secret))
            by_path = client.get(f"/t/{secret}{path}")
            assert by_password.status_code == by_path.status_code == status, path
            if status == 200:
                assert by_password.text == by_path.text
                assert by_path.headers["cache-control"] == "private, max-age=900"
                again = client.get(f"/t/{secret}{path}", headers={"If-None-Match": by_path.headers["etag"]})
                assert again.status_code == 304
    assert client.get(f"/t/{ben}/feeds/me/../you/atom.xml").status_code == 404
    assert client.get(f"/t/{ben}/feeds/me/%2e%2e/you/atom.xml").status_code == 404
    assert client.get(f"/t/{ben}/archive/me").headers["location"] == "./me/"
    assert client.get(f"/t/{anna}").headers["location"] == f"./{anna}/"


def test_who_reads_one_profile_is_led_to_its_pages(run: Run, tmp_path: Path) -> None:
    config = world(tmp_path, base_url=PUBLIC)
    with answering(config) as client:
        secret = give(run, config, "ben", "--profile", "me")
        client.follow_redirects = True
        for path in ("/", "/index.html", "/digest", "/digest/", "/digest/index.html"):
            assert client.get(path, auth=("ben", secret)).text == "archive/me/index.html"
        for path in ("", "/", "/index.html"):
            for prefix in ("", "/digest"):
                assert client.get(f"{prefix}/t/{secret}{path}").text == "archive/me/index.html"
    with answering(config, is_public=True) as client:
        assert client.get("/", auth=("ben", secret)).text == "index.html"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic YQ",
        "Basic /w==",
        "Basic YTpi",
        "Bearer {secret}",
        "{secret}",
    ],
)
def test_what_is_no_password_of_ours_is_asked_again(
    run: Run, config: Path, client: httpx.Client, authorization: str
) -> None:
    secret = give(run, config, "anna")
    headers = {"Authorization": authorization.replace("{secret}", secret).strip()}
    assert client.get("/", headers=headers).status_code == 401
    for name, password in (("ben", secret), ("anna", secret[:-1]), ("anna", hashed(secret)), ("", "")):
        assert client.get("/", auth=(name, password)).status_code == 401
    for unknown in (secret[:-1], hashed(secret), "", "%00", "anna"):
        assert client.get(f"/t/{unknown}/feeds/me/atom.xml").status_code == (404 if unknown else 401)


def test_the_links_of_mails_and_whether_all_is_well_are_for_everybody(run: Run, tmp_path: Path) -> None:
    config = world(tmp_path, base_url=PUBLIC)
    with answering(config) as client:
        anna, ben = give(run, config, "anna"), give(run, config, "ben", "--profile", "me")
        for prefix in ("", "/digest"):
            for headers in ({}, OUTSIDE, {"Host": "127.0.0.1:8470"}):
                assert client.get(f"{prefix}/stop/me", headers=headers).status_code == 403
                assert client.get(f"{prefix}/opinion/like/me", headers=headers).status_code == 403
                assert client.get(f"{prefix}/healthz", headers=headers).json() == {"ok": True}
        assert client.get("/healthz", auth=("ben", ben)).json() == {"ok": True}
        assert "sources" in client.get("/healthz", auth=("anna", anna)).json()
        assert "sources" in client.get(f"/t/{anna}/healthz").json()


@pytest.mark.parametrize("path", ["", "/digest", "/feeds", "/t", "/a%20b"])
def test_the_proxy_may_take_the_path_of_the_public_address_off_or_leave_it(
    run: Run, tmp_path: Path, path: str
) -> None:
    config = world(tmp_path, base_url=f"https://me.example.org{path}")
    with answering(config) as client:
        secret = give(run, config, "anna")
        (feed,) = re.findall(r"https://\S+/rss\.xml", run.out)
        FilePublisher(config.parent / "public").publish([Artifact("feeds/rss.xml", b"feed")])
        whole = urlsplit(feed).path
        for asked in (whole, whole.removeprefix(path)):
            assert client.get(asked, headers=OUTSIDE).text == "feed"
        for prefix in ("", path):
            assert client.get(f"{prefix}/feeds/me/atom.xml", headers=OUTSIDE).status_code == 401
            for one in PATHS:
                assert client.get(f"{prefix}{one}", auth=("anna", secret)).text.startswith(one[1:])


def test_the_public_address_without_its_slash_leads_to_the_overview(run: Run, tmp_path: Path) -> None:
    config = world(tmp_path, base_url=PUBLIC)
    with answering(config) as client:
        secret = give(run, config, "anna")
        answer = client.get("/digest", auth=("anna", secret))
        assert answer.headers["location"] == "./digest/"
        assert client.get("/digestindex.html", auth=("anna", secret)).status_code == 404


def test_public_is_public_and_tells_nobody_what_is_read(run: Run, config: Path) -> None:
    with answering(config, is_public=True) as client:
        for headers in ({}, OUTSIDE, {"X-Forwarded-For": "192.0.2.1"}):
            answer = client.get("/feeds/me/atom.xml", headers=headers)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "max-age=900"
            assert client.get("/healthz", headers=headers).json() == {"ok": True}
        secret = give(run, config, "anna")
        assert client.get("/").status_code == 200
        assert client.get(f"/t/{secret}/").status_code == 200
        assert client.get("/t/unknown/").status_code == 404
        assert "sources" in client.get("/healthz", auth=("anna", secret)).json()


@pytest.mark.parametrize("arguments", [["serve"], ["schedule", "--serve"]])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::", ""])  # noqa: S104 - refused
def test_others_are_not_answered_unless_they_are_asked_or_all_may_read(
    run: Run, config: Path, arguments: list[str], host: str
) -> None:
    for _ in range(2):
        assert run(*arguments, "--config", config, "--host", host, "--port", "0") == 2
        assert f"--host {host}: others could read what you read there" in run.err
        assert "`digest access add NAME`, or give --public" in run.err
        give(run, config, "anna")
        run("access", "revoke", "anna", "--config", config)


def test_who_was_asked_from_the_network_is_asked_also_when_nobody_is_left(run: Run, config: Path) -> None:
    secret = give(run, config, "anna")
    with answering(config, host="192.0.2.1") as client:
        assert client.get("/", auth=("anna", secret)).status_code == 200
        for headers in ({"Host": "localhost"}, {"Host": "192.0.2.1"}):
            assert client.get("/", headers=headers).status_code == 401
        with closing(sqlite3.connect(config.parent / "data" / "digest.db")) as database, database:
            database.execute("DELETE FROM access")
        for headers in ({"Host": "localhost"}, {"Host": "192.0.2.1"}):
            assert client.get("/", headers=headers).status_code == 401


def test_to_serve_the_network_takes_one_word(config: Path) -> None:
    # Every address of 127.0.0.0/8 is this machine; 0.0.0.0 listens there, too.
    every = "0.0.0.0"  # noqa: S104 - for the time of a test
    with started("serve", "--config", str(config), "--host", every, "--public") as (process, address):
        assert httpx.get(address.replace(every, "127.0.0.1"), headers=OUTSIDE).text == "index.html"
        process.terminate()


def lose(config: Path) -> None:
    for path in (config.parent / "data").glob("digest.db*"):
        path.unlink()


def damage(config: Path) -> None:
    lose(config)
    (config.parent / "data" / "digest.db").write_bytes(b"no database" * 100)


def test_a_store_that_is_lost_opens_nothing(run: Run, config: Path) -> None:
    give(run, config, "anna")
    with answering(config) as client:  # which nobody has asked anything before
        for is_lost in (lose, damage, lose):
            is_lost(config)
            assert client.get("/").status_code in {401, 503}
            assert client.get("/healthz").json() in ({"ok": True}, {"ok": False})
        assert client.get("/").status_code == 401
        again = give(run, config, "anna")
        assert client.get("/", auth=("anna", again)).status_code == 200


def test_a_store_that_cannot_be_read_opens_nothing_and_says_why_once(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    with answering(config) as client:
        assert client.get("/").status_code == 200
        for _ in range(2):
            damage(config)
            assert [client.get("/").status_code for _ in range(2)] == [503, 503]
            health = client.get("/healthz")
            assert health.status_code == 503
            assert "the database file is damaged" in health.json()["error"]
            for headers in (OUTSIDE, {"X-Forwarded-For": "192.0.2.1"}):
                assert client.get("/healthz", headers=headers).json() == {"ok": False}
            (said,) = capsys.readouterr().err.splitlines()
            assert health.json()["error"] in said
            lose(config)
            assert client.get("/").status_code == 200
    damage(config)
    with answering(config, is_public=True) as client:
        assert client.get("/healthz").json() == {"ok": False}


# --- what feeds name --------------------------------------------------------------------------

HERE = "http://127.0.0.1:8470"  # where feeds are found unless it is said


@pytest.mark.parametrize(
    ("settings", "base_url"),
    [
        ("", None),
        (f'base_url = "{PUBLIC}"', PUBLIC),
        ('base_url = "https://a.example/b&c"', "https://me.example.org/d&e"),
    ],
)
def test_who_came_by_path_can_follow_whatever_a_feed_names(
    run: Run, tmp_path: Path, settings: str, base_url: str | None
) -> None:
    serve = f'[serve]\nbase_url = "{base_url}"\n' if base_url else ""
    config = configure(tmp_path, extra=f"{serve}[feeds]\nentries = 1\nper_interest = true\n{settings}")
    made = app.load(str(config), {})
    with made.store() as store:
        for number in range(3):
            at = NOON + number * DAY
            found = listings(paper(f"Swin by {HERE}/feeds/ {number}"), source="file")
            store.add(found, [], report("file", at=at))
            assert all(item.digest for item in made.compose(store, made.profiles(), at=at))
            assert list(made.dispatch(store, at=at))
    secret = give(run, config, "anna")
    with answering(config) as client:
        below = f"{base_url or str(client.base_url).rstrip('/')}/t/{secret}/"
        seen: set[str] = set()
        ahead = {f"{below}feeds/{name}" for name in ("feeds.opml", "atom.xml", "me/feed.json")}
        while ahead:
            seen |= ahead
            answers = [client.get(address[len(below) - len(f"/t/{secret}/") :]) for address in ahead]
            assert {answer.status_code for answer in answers} == {200}
            feeds = [answer for answer in answers if "html" not in answer.headers["content-type"]]
            named = {address for answer in feeds for address in values(answer)}
            ours = {address for address in named if re.search(r"/(archive|feeds)/|/index\.html$", address)}
            assert all(address.startswith(below) for address in ours)
            ahead = ours - seen
        ends = {address.removeprefix(below) for address in seen}
        assert {"index.html", "archive/me/index.html", "feeds/me/swin/atom.xml"} <= ends
        assert {"feeds/me/atom-1.xml", "feeds/me/atom-2.xml", "feeds/me/feed-1.json"} <= ends
        by_password = client.get("/feeds/me/atom.xml", auth=("anna", secret))
        assert secret not in by_password.text
        ids = re.findall(r"<id>.*?</id>", by_password.text)
        assert re.findall(r"<id>.*?</id>", client.get(f"/t/{secret}/feeds/me/atom.xml").text) == ids


def values(answer: httpx.Response) -> set[str]:
    """The addresses that a feed names, and no text that looks like one."""
    if answer.headers["content-type"].endswith("json"):
        return {value for value in answer.json().values() if str(value).startswith("http")}
    elements = etree.fromstring(answer.content).iter("*")
    found = [value for one in elements for value in (*one.attrib.values(), one.text or "")]
    return {str(value) for value in found if value.startswith("http")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xml", '<a url="https://stranger.example/?{here}/feeds/"/>'),
        ("a.xml", '<a>https://stranger.example/?="{here}/feeds/</a>'),
        ("a.xml", "<a>https://stranger.example/?{here}/feeds/</a>"),
        ("a.xml", '<a url="{here}.stranger.example/feeds/"/>'),
        ("a.xml", '<a url="{here}/feed"/>'),
        ("a.opml", '<outline xmlUrl="https://stranger.example/?{here}/index.html"/>'),
        ("a.json", '{{"image": "https://stranger.example/?{here}/feeds/"}}'),
        ("a.json", '{{"image": "https://stranger.example/?>{here}/feeds/"}}'),
        ("a.json", '{{"image": "https://stranger.example/?\\": \\"{here}/feeds/"}}'),
        ("a.html", '<a href="{here}/feeds/">'),
    ],
)
def test_no_secret_is_put_where_a_stranger_could_read_it(
    run: Run, config: Path, client: httpx.Client, name: str, text: str
) -> None:
    content = text.format(here=HERE)
    FilePublisher(config.parent / "public").publish([Artifact(name, content.encode())])
    secret = give(run, config, "anna")
    assert client.get(f"/t/{secret}/{name}").text == content


@pytest.mark.parametrize("host", ['x"><script>', "", "x\\", "[", "a@b"])
def test_a_host_that_is_none_stays_out_of_documents(
    run: Run, config: Path, client: httpx.Client, host: str
) -> None:
    FilePublisher(config.parent / "public").publish(
        [Artifact("a.xml", f'<a href="{HERE}/feeds/"/>'.encode())]
    )
    secret = give(run, config, "anna")
    answer = client.get(f"/t/{secret}/a.xml", headers={"Host": host})
    assert re.fullmatch(rf'<a href="[^<>"]*/t/{secret}/feeds/"/>', answer.text)


# --- secrets ----------------------------------------------------------------------------------

names = st.sampled_from(["anna", "ben", "carol"])
texts = st.text(st.characters(exclude_categories=()), max_size=3)


class Guarded(str):
    """What may be compared only in a time that tells nothing."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        pytest.fail("the time that this takes tells how much of it is right")


def test_a_secret_is_compared_in_a_time_that_tells_nothing() -> None:
    given = [Access(name, Guarded(hashed(name)), None, NOON) for name in ("anna", "ben")]
    found = holder(given, "ben")
    assert found is not None
    assert found.name == "ben"
    assert holder(given, "carol") is None


@given(given_=st.dictionaries(names, texts), revoked=st.sets(names), name=names | st.none(), secret=texts)
def test_a_secret_is_its_holders_and_nobody_elses(
    given_: dict[str, str], revoked: set[str], name: str | None, secret: str
) -> None:
    known = [Access(one, "" if one in revoked else hashed(its), None, NOON) for one, its in given_.items()]
    found = holder(known, secret, name)
    theirs = {one for one, its in given_.items() if hashed(its) == hashed(secret)} - revoked
    assert (found is None) == (not (theirs if name is None else theirs & {name}))
    assert found is None or found.name in theirs
