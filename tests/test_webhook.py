"""Digests as webhooks take them, and how they get there."""

from __future__ import annotations

import html
import json
import logging
import re
import socket
import ssl
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme
from digests import CORPUS, ISSUED, chosen, digest, large, paper, profile, sample, swin
from hostile import GIANT, HARMLESS, ORDINARY, PLACES, addressed, person
from http_server import HANG_UP, Server, answer, drip
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from markdown_it import MarkdownIt

from digest.core.model import Digest, Profile, Section
from digest.deliver.webhook import WebhookDeliverer
from digest.errors import (
    CredentialError,
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    RenderError,
    StoreError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.redaction import remember
from digest.render import environment
from digest.render.webhook import WebhookRenderer, linked, markdown

PATH = "/services/T0SECRET/B0SECRET?key=s3cret-key"
BODY = '{"text":"Five papers — ✓"}'.encode()
DATA = Path(__file__).parent / "data" / "webhooks"
FORMS = sorted(path.stem for path in DATA.glob("*.json"))
OF_SERVICES = [form for form in FORMS if form != "json"]
VALUES = {"topic": "papers"}


def nothing() -> None:
    pass


def never() -> None:
    pytest.fail("the message was handed over")


def said(error: BaseException) -> str:
    """All that a report of the error could print."""
    return "".join(traceback.format_exception(error))


# --- how they get there -----------------------------------------------------------------------


@contextmanager
def deliverer(address: str, **settings: Any) -> Iterator[WebhookDeliverer]:  # noqa: ANN401 - any of the settings
    given = {"user_agent": "digest/1 (+https://me.example.org)", "timeout": 5.0}
    with closing(WebhookDeliverer({"team": lambda: address}, **{**given, **settings})) as webhook:
        yield webhook


def at(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}{PATH}"


def failure(prepared: bytes | Iterable[bytes], timeout: float = 5.0) -> DeliveryError:
    with (
        Server(prepared) as server,
        deliverer(at(server), timeout=timeout) as webhook,
        pytest.raises(DeliveryError) as caught,
    ):
        webhook.deliver(BODY, "team", handing_over=nothing)
    assert caught.value.place == "webhook team (http://127.0.0.1)"
    assert "SECRET" not in said(caught.value)
    assert "s3cret" not in said(caught.value)
    return caught.value


def test_webhook_is_sent_the_json_as_it_is() -> None:
    with Server(answer(200, b"ok"), answer(204)) as server, deliverer(at(server)) as webhook:
        webhook.deliver(BODY, "team", handing_over=nothing)
        webhook.deliver(BODY, "team", handing_over=nothing)
    first, again = server.taken
    assert first.line == f"POST {PATH} HTTP/1.1"
    assert first.body == BODY
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["User-Agent"] == "digest/1 (+https://me.example.org)"
    assert "Transfer-Encoding" not in first.headers
    # The receiver knows a second copy by it, and another message as another.
    assert re.fullmatch('"[0-9a-f]{64}"', first.headers["Idempotency-Key"])
    assert again.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]


def test_handing_over_is_written_down_before_the_body_is_sent() -> None:
    def killed() -> None:
        raise StoreError("the disk is full")

    with Server(HANG_UP) as server, deliverer(at(server)) as webhook, pytest.raises(StoreError):
        webhook.deliver(BODY, "team", handing_over=killed)
    assert [taken.body for taken in server.taken] == [b""]


def test_certificate_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Server(answer(200), answer(200), tls=context) as server:
        with (
            deliverer(f"https://127.0.0.1:{server.port}{PATH}") as webhook,
            pytest.raises(RefusedByServerError, match=r"not trusted: .*SSL_CERT_FILE"),
        ):
            webhook.deliver(BODY, "team", handing_over=never)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with deliverer(f"https://127.0.0.1:{server.port}{PATH}") as webhook:
            webhook.deliver(BODY, "team", handing_over=nothing)
    assert [taken.body for taken in server.taken] == [BODY]


@pytest.mark.parametrize(
    ("prepared", "kind", "words"),
    [
        (answer(429, b"", "Retry-After: 30"), TransientDeliveryError, "HTTP 429.*after 30"),
        (answer(503), TransientDeliveryError, "HTTP 503"),
        (answer(500, b"down"), TransientDeliveryError, "HTTP 500"),
        (answer(408), TransientDeliveryError, "HTTP 408"),
        (answer(401), RefusedByServerError, "HTTP 401.*Make a new webhook"),
        (answer(403), RefusedByServerError, "HTTP 403"),
        (answer(404, f"Cannot POST {PATH}".encode()), RefusedByServerError, "HTTP 404"),
        (answer(410), RefusedByServerError, "HTTP 410"),
        (answer(400, b"invalid_blocks"), PermanentDeliveryError, "HTTP 400.: invalid_blocks"),
        (answer(413), PermanentDeliveryError, r"HTTP 413\)$"),
        (HANG_UP, UncertainDeliveryError, "the answer was lost.*digest outbox"),
        (b"HTTP/1.1 20", UncertainDeliveryError, "the answer was lost"),
        (b"\xff\x00\x1b[2J no HTTP\r\n\r\n", UncertainDeliveryError, "the answer was lost"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000, UncertainDeliveryError, "the answer was lost"),
    ],
)
def test_answer_says_what_becomes_of_the_message(
    prepared: bytes, kind: type[DeliveryError], words: str
) -> None:
    error = failure(prepared)
    assert type(error) is kind
    assert re.search(words, str(error))
    assert str(error).isprintable()


def test_webhook_that_moved_is_told_and_not_followed() -> None:
    with Server(answer(200)) as other:
        error = failure(answer(308, b"", f"Location: http://127.0.0.1:{other.port}/elsewhere"))
        httpx.post(f"http://127.0.0.1:{other.port}/", content=b"")  # only this comes there
    assert type(error) is RefusedByServerError
    assert "has moved (HTTP 308)" in error.message
    assert [taken.line for taken in other.taken] == ["POST / HTTP/1.1"]


def test_words_of_the_service_are_short_and_never_repeat_the_address() -> None:
    echo = f"no {PATH} \x1b[2J B0SECRET s3cret-key " + "very " * 100_000
    words = failure(answer(422, echo.encode())).message
    assert len(words) < 400
    assert words.isprintable()


@pytest.mark.parametrize(
    "prepared",
    [
        answer(503, b"", f"Retry-After: {PATH}"),
        answer(503, b"", "Retry-After: T0SECRET B0SECRET s3cret-key"),
        answer(302, b"", f"Location: http://a:b{PATH}"),
        f"{PATH}\r\n\r\n".encode(),
        f"HTTP/1.1 {PATH}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\n{PATH}\r\n\r\n".encode(),
    ],
)
def test_no_part_of_an_answer_repeats_the_address(prepared: bytes) -> None:
    failure(prepared)  # which looks


@pytest.mark.parametrize("spelt", [quote, str, html.escape, lambda path: repr(path.encode()), json.dumps])
@pytest.mark.parametrize(
    "form", ["400 X\r\nContent-Length: {length}\r\n\r\n{said}", "503 X\r\nRetry-After: {said}\r\n\r\n"]
)
def test_the_address_is_known_however_it_is_spelt(spelt: Callable[[str], str], form: str) -> None:
    path = "/hooks/sécret&more/k'ey<word>"
    echo = spelt(path)
    prepared = f"HTTP/1.1 {form.format(said=echo, length=len(echo.encode()))}".encode()
    with (
        Server(prepared) as server,
        deliverer(f"http://127.0.0.1:{server.port}{path}") as webhook,
        pytest.raises(DeliveryError) as caught,
    ):
        webhook.deliver(BODY, "team", handing_over=nothing)
    assert not re.search("cret|ey|word", caught.value.message.replace("they", ""))


def test_a_refusal_without_end_is_not_read() -> None:
    pieces = drip(b"HTTP/1.1 400 X\r\nContent-Length: 99999999999\r\n\r\n", b"no " * 30_000)
    assert type(failure(pieces)) is PermanentDeliveryError
    assert len(list(pieces)) > 400  # of 500 are left


@pytest.mark.parametrize("promised", [b"Content-Length: 100\r\n\r\n", b"Content-Length: 100\r\n\r\n\xff\xfe"])
def test_refusal_that_breaks_off_is_a_refusal(promised: bytes) -> None:
    assert type(failure(b"HTTP/1.1 422 X\r\n" + promised)) is PermanentDeliveryError


def test_nobody_there_is_no_connection() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        deliverer(f"http://localhost:{port}{PATH}") as webhook,
        pytest.raises(UnreachableError, match="no connection"),
    ):
        webhook.deliver(BODY, "team", handing_over=never)


def test_silent_service_is_waited_for_no_longer_than_was_set() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        deliverer(f"http://127.0.0.1:{silent.getsockname()[1]}{PATH}", timeout=0.2) as webhook,
        pytest.raises(UncertainDeliveryError, match="timed out"),
    ):
        webhook.deliver(BODY, "team", handing_over=nothing)


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"", b"HTTP/1.1 102 wait\r\n\r\n"),
        (b"HTTP/1.1 2", b"0"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    ],
)
def test_answer_that_comes_bit_by_bit_is_not_waited_for(beginning: bytes, again: bytes) -> None:
    error = failure(drip(beginning, again), timeout=0.2)
    assert type(error) is UncertainDeliveryError
    assert "the answer was lost: timed out" in error.message


def test_connection_that_is_slow_over_tls_is_ended_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        Server(drip(b"", b"x"), tls=context) as server,
        deliverer(f"https://127.0.0.1:{server.port}{PATH}", timeout=0.2) as webhook,
        pytest.raises(UncertainDeliveryError, match="timed out"),
    ):
        webhook.deliver(BODY, "team", handing_over=nothing)


def test_refusal_that_is_slow_to_explain_itself_is_a_refusal() -> None:
    error = failure(drip(b"HTTP/1.1 400 X\r\nContent-Length: 9999\r\n\r\nno, be", b"cause"), timeout=0.2)
    assert type(error) is PermanentDeliveryError
    assert error.message == "the service refuses the message (HTTP 400): no,"


@pytest.mark.parametrize(
    "cut",
    [
        f"Content-Length: 500\r\n\r\nno route for {PATH}"[:-3],
        f"Content-Length: 99999\r\n\r\n{' ' * 9_970}no route for {PATH}{'x' * 70_000}",
    ],
    ids=["by the service", "by us"],
)
def test_words_that_were_cut_within_the_address_do_not_show_a_part_of_it(cut: str) -> None:
    error = failure(f"HTTP/1.1 400 X\r\n{cut}".encode())
    assert error.message == "the service refuses the message (HTTP 400): no route for"


def test_secret_is_not_shown_where_words_are_cut_short() -> None:
    remember("correct-horse-battery")
    error = failure(answer(400, b"x" * 290 + b" correct-horse-battery"))
    assert error.message.endswith("xxx <secret>")


def test_webhook_that_is_configured_no_more_is_told() -> None:
    with (
        deliverer("https://hooks.example.test/") as webhook,
        pytest.raises(PermanentDeliveryError, match="'old' is no longer configured"),
    ):
        webhook.deliver(BODY, "old", handing_over=never)


@pytest.mark.parametrize(
    "address",
    [
        f"http://hooks.example.test{PATH}",
        f"http://192.0.2.1{PATH}",
        f"ftp://hooks.example.test{PATH}",
        f"//hooks.example.test{PATH}",
        f"https://{PATH}",
        f"https://hooks.example.test\0{PATH}",
        PATH,
        "",
    ],
)
def test_address_that_would_go_out_unencrypted_or_is_none_is_refused_and_not_shown(address: str) -> None:
    with deliverer(address) as webhook, pytest.raises(RefusedByServerError) as caught:
        webhook.deliver(BODY, "team", handing_over=never)
    assert "SECRET" not in said(caught.value)


def test_missing_secret_is_told_as_such() -> None:
    def missing() -> str:
        raise CredentialError("it is empty")

    with (
        closing(WebhookDeliverer({"team": missing}, user_agent="x")) as webhook,
        pytest.raises(CredentialError),
    ):
        webhook.deliver(BODY, "team", handing_over=never)


def test_plain_http_never_leaves_this_machine_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as proxy, Server(answer(200)) as server, deliverer(at(server)) as webhook:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        webhook.deliver(BODY, "team", handing_over=nothing)
    assert [taken.body for taken in server.taken] == [BODY]


def test_no_log_holds_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(answer(200)) as server, deliverer(at(server)) as webhook:
        webhook.deliver(BODY, "team", handing_over=nothing)
    assert "SECRET" not in caplog.text


def test_client_of_ones_own_is_used() -> None:
    # As the way through a proxy is.
    proxied = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))
    with deliverer("https://hooks.example.test/", client=lambda: proxied) as webhook:
        webhook.deliver(BODY, "team", handing_over=nothing)
    assert proxied.is_closed


# --- what they show ---------------------------------------------------------------------------

RENDERER = WebhookRenderer(environment(), base_url="https://me.example.org/digest")
MARKDOWN = MarkdownIt("commonmark").enable(["strikethrough", "table"])


def made(form: str, shown: Digest, reader: Profile | None = None, **values: object) -> Any:  # noqa: ANN401 - JSON
    return json.loads(RENDERER.compose(reader or profile(), shown, form=form, values=VALUES | values))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def shape(value: object) -> object:
    """A JSON value without its words."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__


def structure(text: str) -> list[str]:
    """What Markdown makes of a text beside the words."""
    return [
        inner.type
        for token in MARKDOWN.parse(text)
        for inner in (token, *(token.children or ()))
        if inner.type not in {"text", "text_special"}
    ]


def markdowns(form: str, found: Any) -> list[str]:  # noqa: ANN401 - JSON
    """The texts of a form that are Markdown."""
    if form == "mattermost":
        return [found["text"]]
    return [
        found["content"],
        *(text for one in found["embeds"] for text in (one.get("title", ""), one["description"])),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_form_shows_a_digest_as_the_file_beside_has_it(form: str) -> None:
    expected = json.loads((DATA / f"{form}.json").read_text(encoding="utf-8"))
    assert made(form, sample()) == expected


@pytest.mark.parametrize("form", FORMS)
def test_equal_digests_give_equal_bytes(form: str) -> None:
    first, second = (RENDERER.compose(profile(), sample(), form=form, values=VALUES) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("form", OF_SERVICES)
def test_what_is_too_long_for_the_service_is_counted(form: str) -> None:
    whole = large(200)
    found = made(form, whole)
    fits(form, found)
    texts = " ".join(strings(found))
    titles = [item.paper.title for item in whole.recommendations]
    shown = [title for title in titles if title in texts or markdown(title) in texts]
    assert f"and {200 - len(shown)} more" in texts
    assert len(shown) >= 8
    # Both sections are there, and neither has more than one paper more than the other.
    swins = sum(title in titles[:100] for title in shown)
    assert abs(2 * swins - len(shown)) <= 1
    assert "https://me.example.org/digest/archive/swin/" in texts


def fits(form: str, found: Any) -> None:  # noqa: ANN401 - JSON
    """Assert the limits that the service sets."""
    texts: dict[str, Any] = {"type": "string"}
    schemas: dict[str, dict[str, Any]] = {
        "slack": {"properties": {"blocks": {"maxItems": 50}}},
        "mattermost": {"properties": {"text": texts | {"maxLength": 16_383, "minLength": 1}}},
        "discord": {
            "properties": {
                "content": texts | {"maxLength": 2000, "minLength": 1},
                "embeds": {
                    "maxItems": 10,
                    "items": {
                        "properties": {
                            "title": texts | {"maxLength": 256},
                            "description": texts | {"maxLength": 4096, "minLength": 1},
                        }
                    },
                },
            }
        },
        "ntfy": {"properties": {"message": texts | {"minLength": 1}, "title": texts | {"maxLength": 250}}},
    }
    validate(found, schemas[form])
    if form == "slack":
        for block in found["blocks"]:
            parts = block["elements"] if block["type"] == "context" else [block["text"]]
            longest = 150 if block["type"] == "header" else 3000
            assert len(parts) <= 10
            assert all(1 <= len(part["text"]) <= longest for part in parts)
        assert sum(len(text) for text in strings(found["blocks"])) <= 12_000
    if form == "discord":
        assert sum(len(text) for one in found["embeds"] for text in strings(one)) <= 6000
    if form == "ntfy":
        assert len(found["message"].encode()) <= 4096


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shown", [digest(), digest(Section("Swin", (swin(1),)))], ids=["empty", "one"])
def test_profile_without_an_archive_is_shown_no_link_to_it(form: str, shown: Digest) -> None:
    found = made(form, shown, profile(channels=("webhook",)))
    assert "archive/" not in " ".join(strings(found))
    if form != "json":
        fits(form, found)


def test_gap_of_a_source_and_near_misses_stand_in_one_line() -> None:
    assert "Could not be read: bioRxiv. Read in part: arXiv." in made("json", sample())["remarks"]
    assert made("json", sample())["remarks"].endswith("Nearly: Swinging Bridges Seen by Transformers.")


def test_values_of_a_webhook_reach_its_form() -> None:
    assert made("mattermost", sample(), username="Papers", channel="vision")["channel"] == "vision"
    assert made("discord", sample(), username="Papers")["username"] == "Papers"
    assert made("ntfy", sample(), tags=["owl"], priority=2)["priority"] == 2


def test_json_holds_every_paper_with_its_evidence() -> None:
    found = made("json", sample())
    first = found["sections"][0]["papers"][0]
    evidence = next(one for one in first["matches"] if one["field"] == "title")
    assert first["title"][evidence["start"] : evidence["end"]].lower() == evidence["keyword"]
    papers = [one for section in found["sections"] for one in section["papers"]] + found["by_title"]
    assert len(papers) == 6


# --- whatever a page puts into a paper ----------------------------------------------------------


@pytest.mark.parametrize("form", OF_SERVICES)
@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_changes_nothing_but_the_words(form: str, place: str) -> None:
    plain = made(form, PLACES[place](HARMLESS), person(place, HARMLESS))
    for name in ORDINARY:
        if CORPUS[name].address:
            continue
        text = CORPUS[name].text
        found = made(form, PLACES[place](text), person(place, text))
        assert shape(found) == shape(plain), name
        fits(form, found)
        for each in strings(found):
            assert not re.search(
                "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", each
            ), name
        if form in {"mattermost", "discord"}:
            for mine, yardstick in zip(markdowns(form, found), markdowns(form, plain), strict=True):
                assert structure(mine) == structure(yardstick), name


CALLS = (
    *("@channel", "@here", "@everyone", "@all", "@@here", "&commat;here", "<!here>", "<@U123>", "<@&9>"),
    *("<#1>", "<:x:1>", ":tada:", "#tag", "~town-square", "https://evil.example", "www.evil.example"),
)


@pytest.mark.parametrize("form", OF_SERVICES)
@pytest.mark.parametrize("call", CALLS)
def test_title_calls_nobody_and_nothing(form: str, call: str) -> None:
    title = f"Swin {call} and {call}"
    shown = digest(Section(call, (chosen(paper(1, title=title, authors=(call,), organization=call)),)))
    found = made(form, replace(shown, title=call))
    if form == "discord":
        assert found["allowed_mentions"] == {"parse": []}
    if form == "slack":
        mrkdwn = [
            part["text"]
            for one in found["blocks"]
            for part in one.get("elements", ())
            if part["type"] == "mrkdwn"
        ]
        assert not any(call in text for text in (found["text"], *mrkdwn))
        assert not any(part.get("emoji") for one in found["blocks"] for part in one.get("elements", ()))
    elif form != "ntfy":  # which is plain text
        texts = [re.sub("^#{5} ", "", text, flags=re.MULTILINE) for text in markdowns(form, found)]
        assert not any(call in text for text in texts)
        assert not any(
            re.search(r"[@:#~<&](?=[A-Za-z@!#/])", re.sub(r"\]\(<\S*>\)", "", text)) for text in texts
        )


@given(st.text(max_size=80) | st.text(st.sampled_from("\\`*_[]()<>~|#@:!&-+=. a"), max_size=30))
def test_any_title_opens_no_formatting(title: str) -> None:
    shown = digest(Section("Swin", (chosen(paper(1, title=f"Swin {title} end")),)))
    plain = digest(Section("Swin", (chosen(paper(1, title="Swin")),)))
    for form in ("mattermost", "discord"):
        for mine, yardstick in zip(
            markdowns(form, made(form, shown)), markdowns(form, made(form, plain)), strict=True
        ):
            assert structure(mine) == structure(yardstick)


@pytest.mark.parametrize("form", OF_SERVICES)
@pytest.mark.parametrize("name", [name for name in ORDINARY if CORPUS[name].address])
def test_address_leads_where_it_says_or_is_not_there(form: str, name: str) -> None:
    shown = digest(Section("Swin", (chosen(paper(1, **addressed(CORPUS[name].text))),)))
    found = made(form, shown, profile(channels=("webhook",)))
    fits(form, found)
    texts = " ".join(strings(found))
    urls = re.findall(r"(?<=\]\()<[^>]*>(?=\))|(?<=<)[^|<>\s]*(?=\|)", texts)
    assert urls or form == "ntfy"
    for url in (*urls, *([found["click"]] if form == "ntfy" else [])):
        assert re.fullmatch(r"(?:https?://[!-;=?-~]+|<https?://[!-'*-;=?-~]+>)", url), name


@pytest.mark.parametrize("form", OF_SERVICES)
@pytest.mark.parametrize("name", GIANT)
def test_giant_text_is_cut(form: str, name: str) -> None:
    if CORPUS[name].address:
        shown = digest(Section("Swin", (chosen(paper(1, **addressed(CORPUS[name].text))),)))
    else:
        shown = digest(Section("Swin", (chosen(paper(1, title=CORPUS[name].text)),)))
    fits(form, made(form, shown))


def test_address_in_markdown_cannot_end_its_brackets() -> None:
    assert linked("https://papers.example/a(b)c@d") == "https://papers.example/a%28b%29c%40d"


# --- templates of one's own -------------------------------------------------------------------


def own(folder: Path, text: str, form: str = "mine") -> bytes:
    (folder / f"webhook_{form}.json.j2").write_text(text, encoding="utf-8")
    renderer = WebhookRenderer(environment(folder), base_url=None)
    return renderer.compose(profile(), sample(), form=form, values={"room": "12"})


def test_form_of_ones_own_is_a_template(tmp_path: Path) -> None:
    template = (
        '{"room": {{ values.room | tojson }},\n "said": {{ headline | tojson }}, "n": [1.50, true, null]}'
    )
    said = "6 papers of 412 · Talking face 1 · Swin 3 · 2 by title · 1 of 3 sources complete · 7 days"
    assert own(tmp_path, template) == f'{{"room":"12","said":"{said}","n":[1.5,true,null]}}'.encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "gives no JSON"),
        ("", "gives no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 100_000, "gives no JSON"),
        ("{{ nothing }}", "'nothing' is undefined"),
    ],
)
def test_template_that_gives_no_json_is_told_with_its_file(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=words) as caught:
        own(tmp_path, text)
    assert str(tmp_path / "webhook_mine.json.j2") in str(caught.value.place)


def test_form_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    renderer = WebhookRenderer(environment(tmp_path), base_url=None)
    with pytest.raises(
        RenderError, match=r"'teams'.*discord, json, mattermost, ntfy, slack.*webhook_teams\.json\.j2"
    ):
        renderer.compose(profile(), sample(), form="teams", values={})


def test_template_that_is_too_long_without_any_paper_is_told(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="more than ntfy takes"):
        own(tmp_path, '{"message": "' + "x" * 5000 + '"}', form="ntfy")


def test_profile_in_another_time_zone_is_told_its_own_day() -> None:
    assert "Friday, 20 November 2026" in made("mattermost", sample())["text"]
    assert ISSUED.date().isoformat() in made("json", sample())["slot"]
