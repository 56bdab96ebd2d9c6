"""More like this, or less: from the link in a mail to what is remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from click.testing import CliRunner
from digests import elements, seen
from hypothesis import assume, given
from hypothesis import strategies as st
from served import PUBLIC, asked, composed, judged, mailed, serving
from world import configure, digests_of, paper

from digest import app
from digest.cli import cli
from digest.core.feedback import OPINION, OPINIONS, is_signed, link, sign
from digest.core.model import Opinion, Paper, PaperId
from digest.core.shelf import shelf
from digest.credentials import own_key
from digest.errors import ConfigError, CredentialError

KEY = bytes(range(32))
HOSTILE_TITLE = 'Swin</title><script>alert(1)</script><form action="https://evil.example">'
PAPERS = [
    paper("Swin for Ferns", arxiv="2611.00001"),
    paper("Swin for Moss", doi="10.1234/moss//(2026)?a=b&c=d"),
    paper("Swin for Bark"),
    paper(HOSTILE_TITLE, arxiv="2611.00004"),
    paper("Swin for Roots", arxiv="hep-th/0112017"),
]
OUTSIDE = {"Host": "me.example.org"}

texts = st.text(st.characters(exclude_categories=()), max_size=12)  # halves of pairs too
actions = st.sampled_from(list(OPINIONS))


# --- tokens -----------------------------------------------------------------------------------


@given(key=st.binary(min_size=1, max_size=40), profile=texts, name=texts, action=actions)
def test_a_token_allows_what_it_was_made_for(key: bytes, profile: str, name: str, action: str) -> None:
    token = sign(key, OPINION, profile, PaperId(name), action)
    assert is_signed(token, key, OPINION, profile, PaperId(name), action)
    assert re.fullmatch(r"[\w-]{24}", token, re.ASCII)  # 144 bits


@given(one=st.tuples(texts, texts, actions), other=st.tuples(texts, texts, actions))
def test_a_token_is_good_for_nothing_else(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assume(one != other)
    token = sign(KEY, OPINION, one[0], PaperId(one[1]), one[2])
    assert not is_signed(token, KEY, OPINION, other[0], PaperId(other[1]), other[2])


@given(text=texts.filter(bool), cut=st.integers(0, 12))
def test_a_letter_does_not_pass_from_one_part_to_the_next(text: str, cut: int) -> None:
    assume(text[:cut] != text)
    token = sign(KEY, OPINION, text, PaperId(""), "like")
    assert not is_signed(token, KEY, OPINION, text[:cut], PaperId(text[cut:]), "like")


class Guarded(bytes):
    """What may be compared only in a time that tells nothing."""

    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        pytest.fail("the time that this takes tells how much of it is right")


class Token(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        pytest.fail("the time that this takes tells how much of it is right")

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> Guarded:
        return Guarded(super().encode(encoding, errors))


def test_a_token_is_compared_in_a_time_that_tells_nothing() -> None:
    token = sign(KEY, OPINION, "me", PaperId("a"), "like")
    assert is_signed(Token(token), KEY, OPINION, "me", PaperId("a"), "like")
    assert not is_signed(Token(token[::-1]), KEY, OPINION, "me", PaperId("a"), "like")


@given(key=st.binary(min_size=32, max_size=32))
def test_another_key_makes_another_token(key: bytes) -> None:
    assume(key != KEY)
    assert not is_signed(sign(key, OPINION, "me", PaperId("a"), "like"), KEY, "me", PaperId("a"), "like")


@given(at=st.integers(0, 23), letter=st.characters(exclude_categories=()))
def test_a_token_with_one_letter_changed_is_refused(at: int, letter: str) -> None:
    token = sign(KEY, OPINION, "me", PaperId("a"), "like")
    assume(letter != token[at])
    for wrong in (token[:at] + letter + token[at + 1 :], token[:at], token + letter, letter):
        assert not is_signed(wrong, KEY, OPINION, "me", PaperId("a"), "like")


@given(name=texts)
def test_a_link_holds_the_paper_whole_and_nothing_that_a_browser_would_read_otherwise(name: str) -> None:
    address = link(PUBLIC, KEY, "me", PaperId(name), "dislike")
    assert re.fullmatch(r"[!-~]+", address)
    assert not set(address) & set("\"'<>#\\")
    parts = urlsplit(address)
    assert parts.path == "/digest/opinion/dislike/me"
    said = parse_qs(parts.query, keep_blank_values=True)
    assert set(said) == {"paper", "token"}
    if not re.search("[\ud800-\udfff]", name):  # half a pair is no character
        assert said["paper"] == [name]
        assert is_signed(said["token"][0], KEY, OPINION, "me", PaperId(name), "dislike")


# --- the key ----------------------------------------------------------------------------------


def test_the_key_is_made_once_also_by_many_at_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path, start = tmp_path / "feedback.key", Barrier(8)

    def make(_number: int) -> bytes:
        start.wait()
        return own_key(path)

    with ThreadPoolExecutor(8) as pool:
        (key,) = set(pool.map(make, range(8)))
    assert len(key) == 32
    assert own_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_key_is_said_and_never_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "feedback.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(CredentialError, match=r"it is damaged\. Restore it, or delete it") as caught:
        own_key(path)
    assert str(path) in str(caught.value)
    assert not content or content.decode() not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feedback.key"
    own_key(path)
    path.chmod(0o640)
    with pytest.raises(CredentialError, match=r"others can read it\. Run `chmod 600"):
        own_key(path)


def test_a_key_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="neither read nor made: No such file"):
        own_key(tmp_path / "nowhere" / "feedback.key")


def test_no_mail_is_composed_and_nothing_served_with_a_damaged_key(tmp_path: Path) -> None:
    config = configure(tmp_path, extra=f'[serve]\nbase_url = "{PUBLIC}"')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "feedback.key").write_bytes(b"")
    for arguments in (["serve"], ["preview", "--out", str(tmp_path / "out")]):
        result = CliRunner().invoke(cli, [*arguments, "--config", str(config)])
        assert isinstance(result.exception, CredentialError)
    assert not (tmp_path / "out" / "me").exists()


# --- the mail ---------------------------------------------------------------------------------


def test_each_card_asks_in_both_parts_and_every_link_is_signed(tmp_path: Path) -> None:
    config = composed(tmp_path, *PAPERS)
    plain, _ = mailed(config)
    links = asked(config)
    assert len(links) == 2 * len(PAPERS)
    key = app.load(str(config), {}).feedback_key
    found = set()
    for address in links:
        assert address.startswith(f"{PUBLIC}/opinion/")
        parts = urlsplit(address)
        action, profile = parts.path.rsplit("/", 2)[1:]
        label = {"like": "More like this", "dislike": "Less like this"}[action]
        assert f"  {label}: {address}" in plain.splitlines()
        said = {name: value for name, (value,) in parse_qs(parts.query).items()}
        assert is_signed(said["token"], key, OPINION, profile, PaperId(said["paper"]), action)
        found.add((action, said["paper"]))
    assert found == {(action, one.id) for one in PAPERS for action in ("like", "dislike")}


def test_without_an_address_the_mail_does_not_ask_and_no_key_is_made(tmp_path: Path) -> None:
    config = composed(tmp_path, *PAPERS, base_url=None)
    assert asked(config) == []
    assert "like this" not in "".join(mailed(config))
    assert not (tmp_path / "data" / "feedback.key").exists()


def test_feeds_and_archive_never_hold_a_token(tmp_path: Path) -> None:
    config = composed(tmp_path, *PAPERS)
    made = app.load(str(config), {})
    with made.store() as store:
        digests = digests_of(store, "me")
    (profile,) = made.profiles()
    public = [*made.feeds.render(profile, shelf(digests)), *made.archive.render(profile, shelf(digests))]
    assert public
    assert not [artifact.path for artifact in public if b"/opinion/" in artifact.content]


def test_a_link_that_is_too_long_to_be_opened_is_left_out(tmp_path: Path) -> None:
    endless = Paper(PaperId("url:papers.example/" + "a" * 2000), "Swin without End")
    config = composed(tmp_path, endless, PAPERS[0])
    assert len(asked(config)) == 2
    assert mailed(config)[0].count("like this:") == 2


# --- the server -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "public").mkdir()
    (folder / "public" / "atom.xml").write_text("what I read")
    return composed(folder, *PAPERS)


@pytest.fixture(scope="module")
def server(config: Path) -> Iterator[httpx.Client]:
    with serving(config) as client:
        yield client


def opinions(config: Path) -> dict[PaperId, Opinion]:
    return {one.paper.id: one.opinion for one in judged(config)}


def address(config: Path, paper: Paper, action: str) -> str:
    """A link of the mail as the proxy hands it on, with the path of the public address."""
    (found,) = (
        one
        for one in asked(config)
        if f"/{action}/" in one and parse_qs(urlsplit(one).query)["paper"] == [paper.id]
    )
    return found.removeprefix("https://me.example.org")


def press(server: httpx.Client, page: httpx.Response, headers: dict[str, str] = OUTSIDE) -> httpx.Response:
    """Press the one button of a page."""
    (form,) = (attributes for tag, attributes in elements(page.text) if tag == "form")
    assert form["method"] == "post"
    fields = {
        attributes["name"] or "": attributes["value"] or ""
        for tag, attributes in elements(page.text)
        if tag == "input"
    }
    return server.post(page.url.join(form["action"] or ""), data=fields, headers=headers)


@pytest.mark.parametrize("paper", PAPERS, ids=[one.id for one in PAPERS])
def test_a_look_changes_nothing_a_button_records_and_another_takes_it_back(
    config: Path, server: httpx.Client, paper: Paper
) -> None:
    for action, opinion in (("like", Opinion.LIKE), ("dislike", Opinion.DISLIKE)):
        before = opinions(config)
        link = address(config, paper, action)
        assert server.head(link, headers=OUTSIDE).status_code == 200
        page = server.get(link, headers=OUTSIDE)
        assert page.status_code == 200
        assert paper.title in seen(page.text)
        assert "Digests for “Papers for me” will rank papers like it" in seen(page.text)
        assert opinions(config) == before
        recorded = press(server, page)
        assert seen(recorded.text).startswith("Recorded")
        assert opinions(config) == before | {paper.id: opinion}
        undone = press(server, recorded)
        assert seen(undone.text).startswith("Taken back")
        assert "<form" not in undone.text
        assert paper.id not in opinions(config)


def test_saying_it_twice_is_saying_it_once(config: Path, server: httpx.Client) -> None:
    page = server.get(address(config, PAPERS[0], "like"), headers=OUTSIDE)
    first, second = press(server, page), press(server, page)
    assert [first.status_code, second.status_code] == [200, 200]
    assert [one.paper.id for one in judged(config)].count(PAPERS[0].id) == 1
    press(server, second)


def test_a_page_is_kept_and_indexed_by_nobody_and_runs_nothing(config: Path, server: httpx.Client) -> None:
    link = address(config, PAPERS[3], "like")
    page = server.get(link, headers=OUTSIDE)
    for answer in (page, press(server, page), server.get(link[:-1], headers=OUTSIDE)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f'<style nonce="{nonce}">' in page.text
    assert nonce not in server.get(link, headers=OUTSIDE).text
    tags = [tag for tag, _ in elements(page.text)]
    assert "script" not in tags
    assert tags.count("form") == tags.count("title") == 1
    assert HOSTILE_TITLE in unescape(page.text)


def test_a_link_that_was_cut_or_bent_is_refused_and_says_so(config: Path, server: httpx.Client) -> None:
    link = address(config, PAPERS[0], "like")
    bent = [
        link[:-1],
        link.partition("&paper")[0],
        link.partition("&paper")[0] + "&paper=" + PAPERS[1].id,
        link.replace("token=", "token=A"),
        link.replace("token=", "taken="),
        link.replace("/like/", "/dislike/"),
        link.replace("/like/", "/forget/"),
        link.replace("/like/", "/love/"),
        link.replace("/me?", "/you?"),
    ]
    before = opinions(config)
    for wrong in bent:
        answer = server.get(wrong, headers=OUTSIDE)
        assert answer.status_code == 403, wrong
        assert "Nothing was recorded." in answer.text
        path, _, query = wrong.partition("?")
        form = {name: value for name, (value,) in parse_qs(query).items()}
        assert server.post(path, data=form, headers=OUTSIDE).status_code == 403
    assert opinions(config) == before


def test_a_signed_link_to_what_is_gone_says_that_it_is_gone(config: Path, server: httpx.Client) -> None:
    key = app.load(str(config), {}).feedback_key
    for profile, name in (("me", "arxiv:2611.99999"), ("nobody", PAPERS[0].id)):
        gone = link("", key, profile, PaperId(name), "like")
        answer = server.get(gone, headers=OUTSIDE)
        assert answer.status_code == 404
        assert "no longer here" in answer.text


def test_only_the_form_of_the_page_is_taken(config: Path, server: httpx.Client) -> None:
    link = address(config, PAPERS[2], "like")
    path, _, query = link.partition("?")
    form = {"Content-Type": "application/x-www-form-urlencoded"} | OUTSIDE
    before = opinions(config)
    answers = [
        (server.post(link, headers=OUTSIDE), 415),  # what would follow links by POST
        (server.post(link, headers=form), 403),
        (server.post(path, content=query, headers=OUTSIDE | {"Content-Type": "text/plain"}), 415),
        (server.post(path, content="&".join(["a=1"] * 10) + "&" + query, headers=form), 403),
        (server.post(path, content=b"paper=" + b"a" * 9000, headers=form), 413),
        (server.post(path, content=b"\xff\x00=%", headers=form), 403),
        (server.put(link, headers=form), 405),
        (server.delete(link, headers=form), 405),
    ]
    assert [answer.status_code for answer, _ in answers] == [status for _, status in answers]
    assert opinions(config) == before
    answer = server.post(path, content=query, headers=form | {"Content-Type": form["Content-Type"] + ";a=b"})
    assert answer.status_code == 200
    press(server, answer)


def test_the_proxy_may_take_the_path_of_the_public_address_off(config: Path, server: httpx.Client) -> None:
    link = address(config, PAPERS[0], "like").removeprefix("/digest")
    page = server.get(link, headers=OUTSIDE)
    recorded = press(server, page)
    assert recorded.url.path == "/opinion/like/me"
    assert "Recorded" in recorded.text
    press(server, recorded)


@pytest.mark.parametrize(
    "headers",
    [
        OUTSIDE,
        {"Host": "ME.example.org:443"},
        {"X-Forwarded-For": "192.0.2.1"},  # by a proxy that replaces the host
        {"X-Forwarded-Host": "me.example.org"},
        {"Forwarded": "for=192.0.2.1"},
        {"Via": "1.1 proxy.example.org"},
    ],
)
@pytest.mark.parametrize("prefix", ["", "/digest"])
def test_what_somebody_reads_is_not_told_outside(
    server: httpx.Client, headers: dict[str, str], prefix: str
) -> None:
    for path in ("/", "/atom.xml", "/opinion/../atom.xml", "/opinion/%2e%2e/atom.xml"):
        assert server.get(f"{prefix}{path}", headers=headers).status_code in {403, 404}
    health = server.get(f"{prefix}/healthz", headers=headers)
    assert health.json() == {"ok": True}
    assert server.get("/atom.xml").text == "what I read"
    assert server.get("/healthz").json()["sources"] == {"file": "read"}
    assert server.get("/", headers=headers | {"Host": "evil.example"}).status_code == 400


def test_on_ones_own_machine_everything_is_answered_at_one_address(tmp_path: Path) -> None:
    config = composed(tmp_path, PAPERS[0], base_url="http://localhost:8470")
    with serving(config) as server:
        link = asked(config)[0].removeprefix("http://localhost:8470")
        press(server, server.get(link), headers={})
        assert server.get("/healthz").json()["sources"] == {"file": "read"}
    assert [one.opinion for one in judged(config)] == [Opinion.LIKE]


def test_without_an_address_nothing_is_asked(tmp_path: Path) -> None:
    config = composed(tmp_path, PAPERS[0], base_url=None)
    (tmp_path / "public").mkdir()
    with serving(config) as server:
        assert server.get("/opinion/like/me").status_code == 404
        assert server.get("/", headers=OUTSIDE).status_code == 400
        assert "sources" in server.get("/healthz").json()
        assert "sources" not in server.get("/healthz", headers={"X-Forwarded-For": "192.0.2.1"}).json()


# --- the setting ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('base_url = "me.example.org"', "begins with https://"),
        ('base_url = "https://me.example.org/?a=b"', "begins with https://"),
        ('base_url = "https://[::1"', "base_url"),
        ('base_uri = "https://me.example.org"', "base_url"),
    ],
)
def test_a_wrong_public_address_is_said(tmp_path: Path, line: str, said: str) -> None:
    config = configure(tmp_path, extra=f"[serve]\n{line}")
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        app.load(str(config), {})
    assert "digest.toml:" in str(caught.value)


def test_a_slash_at_the_end_of_the_public_address_makes_no_second_one(tmp_path: Path) -> None:
    config = composed(tmp_path, PAPERS[0], base_url=f"{PUBLIC}/")
    assert all(one.startswith(f"{PUBLIC}/opinion/") for one in asked(config))
