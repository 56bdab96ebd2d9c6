"""No more of this mail, please: from the link in a mail to what is no longer sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from commands import Run
from digests import elements, seen
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser
from served import PUBLIC, serving
from smtp_server import recording_server
from world import NOON, SWIN_PAGE, configure

from digest import app
from digest.core.feedback import OPINION, STOP, is_signed, sign, stop_link
from digest.core.mailbox import key as key_of
from digest.core.model import DeliveryState

KEY = bytes(range(32))
OUTSIDE = {"Host": "me.example.org"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HOSTILE_TITLE = "</strong><script>alert(1)</script><form action='https://evil.example'>"

# Of forms in parts, right and wrong.
PIECES = (
    *(b"--a", b"--b", b"--", b"\r\n", b"\n", b"x", b"\xff", b"Content-Disposition: form-data; ", b"name="),
    *(b"*0*=", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822"),
)

local_parts = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,20}", fullmatch=True)  # RFC 5322, 3.2.3
texts = st.text(st.characters(exclude_categories=()), max_size=20)


# --- links ------------------------------------------------------------------------------------


@given(local=local_parts)
def test_a_link_holds_the_address_whole_and_nothing_that_ends_a_header_or_is_a_link_of_its_own(
    local: str,
) -> None:
    link = stop_link(PUBLIC, KEY, "me", f"Rea Der <{local}@Example.ORG>")
    assert re.fullmatch(r"[!-~]+", link)
    assert not set(link) & set("\"'<>,;()@#\\")
    parts = urlsplit(link)
    assert parts.path == "/digest/stop/me"
    said = {name: value for name, (value,) in parse_qs(parts.query).items()}
    assert said["address"] == f"{local}@example.org"
    assert is_signed(said["token"], KEY, STOP, "me", said["address"])
    assert parts.query.endswith("%40example.org")


@given(text=texts)
def test_whatever_a_recipient_is_its_link_is_one(text: str) -> None:
    assert re.fullmatch(r"[!-~]+", stop_link(PUBLIC, KEY, "me", text))


@given(profile=texts, address=texts)
def test_a_token_for_an_opinion_does_not_stop_a_mail_nor_the_other_way_round(
    profile: str, address: str
) -> None:
    assert not is_signed(sign(KEY, OPINION, profile, address), KEY, STOP, profile, address)
    assert not is_signed(sign(KEY, OPINION, profile, address, "like"), KEY, STOP, profile, address)
    assert not is_signed(sign(KEY, STOP, profile, address), KEY, OPINION, profile, address, "like")


def test_two_ways_to_write_a_mailbox_are_one_recipient() -> None:
    assert key_of('"Der, Rea" <rea@EXAMPLE.org>') == key_of("rea@example.ORG") == "rea@example.org"
    assert key_of("Rea@example.org") != key_of("rea@example.org")
    assert key_of("rea@bücher.example") == "rea@xn--bcher-kva.example"
    assert key_of("no mailbox") == "no mailbox"


# --- the server -------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def world(folder: Path, *, port: int = 25, base_url: str = PUBLIC) -> Path:
    """A configuration by which two people get the mail of one profile."""
    config = configure(folder, port=port, extra=f'[serve]\nbase_url = "{base_url}"')
    profile = folder / "profiles" / "me.toml"
    two = profile.read_text().replace('"Me <me@example.org>"', '"Me <me@Example.org>", "you@example.org"')
    profile.write_text(two.replace('"Papers for me"', f'"{HOSTILE_TITLE}"'))
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    return config


def link_of(config: Path, address: str = "me@example.org", profile: str = "me") -> str:
    """A link of the mail as the proxy hands it on, with the path of the public address."""
    made = app.load(str(config), {})
    assert made.config.serve.base_url is not None
    path = urlsplit(made.config.serve.base_url).path
    return stop_link(path, made.feedback_key, profile, address)


def stopped(config: Path, profile: str = "me") -> list[str]:
    with app.load(str(config), {}).store() as store:
        return list(store.stopped(profile))


def press(server: httpx.Client, page: httpx.Response, headers: dict[str, str] = OUTSIDE) -> httpx.Response:
    """Press the one button of a page, whose form goes to the page's own address."""
    (form,) = (attributes for tag, attributes in elements(page.text) if tag == "form")
    assert form == {"method": "post"}
    (button,) = (attributes for tag, attributes in elements(page.text) if tag == "button")
    return server.post(page.url, data={button["name"] or "": button["value"]}, headers=headers)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def server(config: Path) -> Iterator[httpx.Client]:
    with serving(config) as client:
        yield client


@pytest.fixture(autouse=True)
def _as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "config" in request.fixturenames:
        with app.load(str(request.getfixturevalue("config")), {}).store() as store:
            for profile in ("me", "gone"):
                for address in store.stopped(profile):
                    store.resume(profile, address)


def test_a_look_changes_nothing_a_button_stops_the_mail_and_another_starts_it_again(
    config: Path, server: httpx.Client
) -> None:
    link = link_of(config)
    assert server.head(link, headers=OUTSIDE).status_code == 200
    page = server.get(link, headers=OUTSIDE)
    assert seen(page.text).startswith("Stop this mail?")
    assert "Digests will no longer come to me@example.org." in seen(page.text)
    assert stopped(config) == []
    done = press(server, page)
    assert seen(done.text).startswith("Stopped")
    assert "Digests no longer come to me@example.org." in seen(done.text)
    assert stopped(config) == ["me@example.org"]
    again = press(server, done)
    assert seen(again.text).startswith("Started again")
    assert "<form" not in again.text
    assert stopped(config) == []


def test_the_link_of_an_old_mail_is_the_way_back(config: Path, server: httpx.Client) -> None:
    press(server, server.get(link_of(config), headers=OUTSIDE))
    page = server.get(link_of(config), headers=OUTSIDE)
    assert seen(page.text).startswith("This mail is stopped")
    assert stopped(config) == ["me@example.org"]
    press(server, page)
    assert stopped(config) == []


@pytest.mark.parametrize("kind", ["data", "files"])
def test_one_click_stops_the_mail(config: Path, server: httpx.Client, kind: str) -> None:
    sent = {"data": ONE_CLICK} if kind == "data" else {"files": {"List-Unsubscribe": (None, "One-Click")}}
    for _ in range(2):  # who says it twice has said it once
        answer = server.post(link_of(config), headers=OUTSIDE, **sent)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert stopped(config) == ["me@example.org"]


def test_a_link_that_was_cut_or_bent_is_refused_and_says_so(config: Path, server: httpx.Client) -> None:
    link = link_of(config)
    made = app.load(str(config), {})
    opinion = sign(made.feedback_key, OPINION, "me", "me@example.org")
    bent = [
        link[:-1],
        link.partition("&address")[0],
        link.replace("address=me", "address=you"),
        link.replace("example.org", "EXAMPLE.org"),
        link.replace("token=", "token=A"),
        link.replace("/me?", "/you?"),
        re.sub("token=[^&]*", f"token={opinion}", link),
        link.partition("?")[0],
    ]
    for wrong in bent:
        for answer in (
            server.get(wrong, headers=OUTSIDE),
            server.post(wrong, data=ONE_CLICK, headers=OUTSIDE),
        ):
            assert answer.status_code == 403, wrong
            assert "Nothing was recorded." in answer.text
            assert answer.headers["cache-control"] == "no-store"
    query = dict(parse_qs(urlsplit(link).query)) | ONE_CLICK
    assert server.post(link.partition("?")[0], data=query, headers=OUTSIDE).status_code == 403
    assert stopped(config) == []


def test_only_the_form_of_the_page_is_taken(config: Path, server: httpx.Client) -> None:
    link = link_of(config)
    form, parts = FORM | OUTSIDE, {"Content-Type": "multipart/form-data; boundary=a"} | OUTSIDE
    answers = [
        (server.post(link, headers=OUTSIDE), 415),  # what would follow links by POST
        (server.post(link, json=ONE_CLICK, headers=OUTSIDE), 415),
        (server.post(link, headers=form), 400),
        (server.post(link, content=b"List-Unsubscribe=Later", headers=form), 400),
        (server.post(link, content=b"a" * 9000, headers=form), 413),
        (server.post(link, content=b"a" * 9000, headers=parts), 413),
        (server.post(link, content="&".join(["a=1"] * 10), headers=form), 400),
        (server.post(link, content=b"", headers=parts), 400),
        (server.post(link, content=b"--a\r\n" * 1000, headers=parts), 400),
        (server.post(link, content=b"List-Unsubscribe=One-Click", headers=parts), 400),
        (server.put(link, data=ONE_CLICK, headers=OUTSIDE), 405),
        (server.delete(link, headers=OUTSIDE), 405),
    ]
    assert [answer.status_code for answer, _ in answers] == [status for _, status in answers]
    assert stopped(config) == []


@pytest.mark.parametrize(
    "parameters", ["boundary*=a; boundary*0=b", "boundary=a; charset*=utf-8; charset*0=b"]
)
def test_a_form_of_a_kind_that_cannot_be_read_is_none(
    parameters: str, server: httpx.Client, config: Path
) -> None:
    headers = {"Content-Type": f"multipart/form-data; {parameters}"} | OUTSIDE
    part = b"Content-Disposition: form-data; name=List-Unsubscribe\r\n\r\nOne-Click"
    content = b"--a\r\n" + part + b"\r\n--a--\r\n"
    assert server.post(link_of(config), content=content, headers=headers).status_code == 400
    assert server.post("/opinion/like/me", content=content, headers=headers).status_code == 403
    assert stopped(config) == []


@given(content=st.lists(st.sampled_from(PIECES)))
def test_a_form_in_parts_may_hold_anything(content: list[bytes], server: httpx.Client, config: Path) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=a"} | OUTSIDE
    answer = server.post(link_of(config), content=b"".join(content), headers=headers)
    assert answer.status_code == 400


def test_the_page_is_kept_and_indexed_by_nobody_and_runs_nothing(config: Path, server: httpx.Client) -> None:
    page = server.get(link_of(config), headers=OUTSIDE)
    for answer in (page, press(server, page)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        tags = [tag for tag, _ in elements(answer.text)]
        assert "script" not in tags
        assert tags.count("form") == tags.count("button") == tags.count("title") == 1
        assert HOSTILE_TITLE in seen(answer.text)


@pytest.mark.parametrize("headers", [OUTSIDE, {"X-Forwarded-For": "192.0.2.1"}])
def test_the_proxy_may_take_the_path_of_the_public_address_off_and_reaches_nothing_else(
    config: Path, server: httpx.Client, headers: dict[str, str]
) -> None:
    page = server.get(link_of(config).removeprefix("/digest"), headers=headers)
    assert page.status_code == 200
    press(server, page, headers)
    assert stopped(config) == ["me@example.org"]
    for path in ("/stop/", "/stop/me", "/stop/../healthz/x", "/stop/%2e%2e/index.html"):
        assert server.get(path, headers=headers).status_code in {403, 404}


def test_a_link_works_though_its_profile_is_configured_no_longer(config: Path, server: httpx.Client) -> None:
    page = server.get(link_of(config, profile="gone"), headers=OUTSIDE)
    press(server, page)
    assert stopped(config, "gone") == ["me@example.org"]
    assert stopped(config) == []


# --- what is no longer sent -------------------------------------------------------------------


def test_who_stops_the_mail_gets_none_until_it_is_started_again_and_the_others_get_theirs(
    tmp_path: Path, run: Run
) -> None:
    def page(number: int) -> None:
        text = SWIN_PAGE.replace("SwinLeaf", f"SwinLeaf{number}")
        (tmp_path / "inbox" / f"page{number}.txt").write_text(text, encoding="utf-8")

    def recipients() -> list[str]:
        found = sorted(one for sent in smtp.messages for one in sent.rcpt_tos)
        smtp.messages.clear()
        return found

    with recording_server() as smtp:
        config = world(tmp_path, port=smtp.port)
        assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 0
        assert recipients() == ["me@Example.org", "you@example.org"]
        with serving(config) as server:
            done = server.post(link_of(config), data=ONE_CLICK, headers=OUTSIDE)
            page(2)
            assert run("run", "--config", config, "--at", "2026-11-21T07:00") == 0
            assert recipients() == ["you@example.org"]
            press(server, done)
        page(3)
        assert run("run", "--config", config, "--at", "2026-11-22T07:00") == 0
        assert recipients() == ["me@Example.org", "you@example.org"]
    assert "SwinLeaf2" in (tmp_path / "public" / "feeds" / "me" / "atom.xml").read_text(encoding="utf-8")


def test_a_mail_that_was_waiting_is_not_sent_and_alarms_nobody(tmp_path: Path, run: Run) -> None:
    with recording_server() as smtp:
        config = world(tmp_path, port=smtp.port)
        for step in ("collect", "compose"):
            assert run(step, "--config", config) == 0
        made = app.load(str(config), {})
        with made.store() as store:
            store.stop("me", "me@example.org", now=NOON)
        assert run("dispatch", "--config", config) == 0
        assert "me: by Me <me@Example.org>; nothing was sent" in run.out
        assert [sent.rcpt_tos for sent in smtp.messages] == [("you@example.org",)]
        assert run("status", "--config", config) == 0
        assert "nothing needs you" in run.out
        assert made.health(at=NOON, since=NOON)["ok"]
        with made.store() as store:
            (left,) = store.deliveries(DeliveryState.STOPPED)
        assert run("outbox", "retry", left.id, "--config", config) == 0  # which changes nobody's mind
        assert run("dispatch", "--config", config) == 0
        assert len(smtp.messages) == 1
        assert run("outbox", "resume", "me", "me@EXAMPLE.org", "--config", config) == 0
        assert run("outbox", "retry", left.id, "--config", config) == 0
        assert run("dispatch", "--config", config) == 0
        assert [sent.rcpt_tos for sent in smtp.messages] == [("you@example.org",), ("me@Example.org",)]


# --- what the operator sees -------------------------------------------------------------------


def test_the_operator_sees_who_stopped_the_mail_and_can_start_it_again(tmp_path: Path, run: Run) -> None:
    config = world(tmp_path)
    with app.load(str(config), {}).store() as store:
        store.stop("me", "me@example.org", now=NOON)
        store.stop("me", "former@example.org", now=NOON)
    assert run("status", "--config", config, "--at", "2026-11-25T12:00") == 0
    assert "me: by me@example.org, Fri 20 Nov, 13:00" in run.out
    assert "digest outbox resume me me@example.org" in run.out
    assert "former" not in run.out  # whom the profile no longer names
    (profile,) = run.json("status", "--config", config)["profiles"]
    assert profile["stopped"] == [{"address": "me@example.org", "since": "2026-11-20T12:00:00+00:00"}]
    assert run("outbox", "resume", "me", "Me <me@example.org>", "--config", config) == 0
    assert stopped(config) == ["former@example.org"]
    assert run("outbox", "resume", "me", "me@example.org", "--config", config) == 1
    assert "me@example.org has not stopped the mail of 'me'" in run.err


def test_a_check_says_when_nobody_is_left_who_wants_a_mail(tmp_path: Path, run: Run) -> None:
    config = world(tmp_path)
    with app.load(str(config), {}).store() as store:
        store.stop("me", "me@example.org", now=NOON)
        assert run("check", "--config", config) == 0
        assert "have stopped" not in run.out
        store.stop("me", "you@example.org", now=NOON)
    assert run("check", "--config", config) == 0
    assert "all of 'me' have stopped its mail" in run.out


# --- a browser --------------------------------------------------------------------------------


def test_the_button_works_without_a_script_on_a_narrow_screen(browser: Browser, tmp_path: Path) -> None:
    config = world(tmp_path, base_url="http://localhost:8470")
    long = f"{'me' * 30}@example.org"
    with serving(config) as server:
        context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 600})
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(str(server.base_url).rstrip("/") + link_of(config, long))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        box = page.get_by_role("button", name="Stop this mail").bounding_box()
        assert box is not None
        assert box["height"] >= 44
        page.get_by_role("button").click()
        assert page.get_by_role("heading").inner_text() == "Stopped"
        assert stopped(config) == [long]
        page.get_by_role("button", name="Undo").click()
        assert page.get_by_role("heading").inner_text() == "Started again"
        assert stopped(config) == []
        assert not [text for text in complaints if "Content Security Policy" in text]
        context.close()
