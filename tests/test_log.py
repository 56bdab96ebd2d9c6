"""What a run says to machines, and that no secret is in what anybody is told."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import re
import shlex
import stat
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from smtp_server import ADDRESSED, GREETED, ScriptedServer, recording_server
from world import HOUR, NOON, SWIN_PAGE, configure

from digest.cli import log
from digest.cli.telling import Telling
from digest.core.model import Delivery, DeliveryState, Period, SourceReport
from digest.errors import DigestError, StoreError, TransientDeliveryError
from digest.redaction import HIDDEN, Secret, redacted
from digest.sending import Dispatched
from digest.store.lock import locked

KEY = "wren+tit/&finch=ä"  # which every encoding changes


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture(autouse=True)
def _untouched() -> Iterator[None]:
    """Loggers as they are before a server or a heart has set them up in this process."""
    others = [logging.getLogger(name) for name in ("apscheduler", "uvicorn", "uvicorn.error")]
    before = [(one.level, one.propagate, list(one.handlers)) for one in others]
    for one in others:
        one.setLevel(logging.NOTSET)
        one.propagate, one.handlers = True, []
    yield
    for one, (level, propagate, handlers) in zip(others, before, strict=True):
        one.setLevel(level)
        one.propagate, one.handlers = propagate, handlers


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler writes that knows nothing of secrets, as one of a plug-in's."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    made = logging.getLogRecordFactory()
    log.guard()
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
    logging.setLogRecordFactory(made)


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.example/x?api_key={}&page=1",
        "GET https://feeds.example/x?key={}",
        "POST ?access_token={}",
        "{{'api-key': '{}', 'page': 1}}",
        '{{"refresh_token": "{}"}}',
        "[(b'Authorization', b'{}')]",
        "Authorization: Basic {}",
        "Proxy-Authorization: {}",
        "X-Api-Key: {}",
        "it said Bearer {}",
        "http://me:{}@proxy.example:3128/",
        "https://digest.example/t/{}/feeds/all.xml",
        "https://hooks.slack.com/services/{}",
        "https://discord.com/api/webhooks/123/{}",
        "https://chat.example/hooks/{}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_stays(text: str) -> None:
    assert redacted(text.format("o7mpq4xk2n8d9s5t3w1z6y0c")) == text.format(HIDDEN)


def test_of_what_stands_in_quotation_marks_or_in_cookies_nothing_is_left() -> None:
    assert redacted('password="two words", 7') == f"password={HIDDEN}, 7"
    assert redacted("Set-Cookie: a=bcd; e=fgh\r\nAge: 3") == f"Set-Cookie: {HIDDEN}\r\nAge: 3"


@pytest.mark.parametrize(
    "text",
    [
        "me.toml:3: email.password: it is empty. Run `digest secret set NAME`.",
        'write password = { keyring = "digest-smtp" }',
        "Microsoft has switched logins by password (basic authentication) off",
        "https://arxiv.org/abs/2503.01234?context=cs.CV",
        "Talking Heads: 12:30 at the inn, tokens and keys",
    ],
)
def test_what_is_none_is_left_alone(text: str) -> None:
    assert redacted(text) == text


@given(st.text())
def test_hiding_twice_hides_no_more(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("before", ["", "\0", "\0me\0", "me:"])
def test_a_secret_that_was_used_is_hidden_in_every_encoding(before: str) -> None:
    Secret(KEY).reveal()
    raw = f"{before}{KEY}".encode()
    for encoded in (
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(KEY)),
        html.escape(KEY),
        repr(raw),
        json.dumps(KEY)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw + b"\1\1").decode(),
    ):
        assert HIDDEN in redacted(f"535 no: {encoded}.")


def test_a_short_secret_hides_no_words() -> None:
    Secret("rank").reveal()
    assert redacted("frankly ranked") == "frankly ranked"


def test_many_secrets_are_not_kept_for_ever() -> None:
    Secret("the first of many").reveal()
    for number in range(100):
        Secret(f"token number {number}").reveal()
    assert redacted("the first of many") == "the first of many"
    assert redacted("token number 99") == HIDDEN


def test_the_address_that_httpx_logs_shows_no_key(written: io.StringIO) -> None:
    Secret(KEY).reveal()
    logger = logging.getLogger("httpx")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        answering = httpx.MockTransport(lambda _: httpx.Response(200))
        with httpx.Client(transport=answering) as client:
            client.get("https://papers.example/list", params={"api_key": "unknown", "name": KEY})
    finally:
        logger.setLevel(before)
    assert f"GET https://papers.example/list?api_key={HIDDEN}&name={HIDDEN}" in written.getvalue()


@pytest.mark.parametrize("name", ["apscheduler.scheduler", "uvicorn.error", "somebodys.plug_in"])
def test_any_logger_hides_secrets_in_words_arguments_and_traces(name: str, written: io.StringIO) -> None:
    Secret(KEY).reveal()
    logger = logging.getLogger(name)
    logger.warning("no %s for %s", KEY, "me")
    logger.warning("untouched %d", 7)
    logger.warning("does not fit %d", KEY)
    for word in (KEY, "harmless"):
        try:
            int(word)
        except ValueError:
            logger.exception("broken", stack_info=True)
    shown = written.getvalue()
    assert KEY not in shown
    assert f"no {HIDDEN} for me\nuntouched 7\ndoes not fit %d ('{HIDDEN}',)\n" in shown
    assert f"with base 10: '{HIDDEN}'" in shown
    assert "with base 10: 'harmless'" in shown


def test_a_server_that_repeats_a_secret_tells_nobody(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERS_KEY", KEY)
    (tmp_path / "plug_in.py").write_text(
        "from digest.errors import FetchError\n"
        "class Source:\n"
        "    def __init__(self, name, *, key: 'Secret'):\n"
        "        self.name, self.key = name, key\n"
        "    def collect(self, period):\n"
        "        raise FetchError(f'the site says: who is {self.key()}?')\n"
        "        yield\n"
        "from digest.ports import Secret\n"
    )
    table = '[[sources]]\nkind = "plug_in:Source"\nname = "mine"\nkey = { env = "PAPERS_KEY" }\n'
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = configure(tmp_path, extra=table)
    for form in ("lines", "logfmt", "json"):
        assert run("collect", "--config", config, "--log", form) == 1
        assert f"who is {HIDDEN}?" in run.err
        assert KEY not in run.out + run.err
    assert run("status", "--config", config) == 0
    assert f"who is {HIDDEN}?" in run.out


# --- the log ----------------------------------------------------------------------------------


def fields(line: str) -> dict[str, str]:
    """The fields of a line in logfmt, whose quoting a shell understands where there is no escape."""
    return dict(item.split("=", 1) for item in shlex.split(line))


def test_each_step_of_a_run_is_a_line_of_keys_and_values(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config, "--at", "2026-11-20T07:00", "--log", "logfmt") == 0
    assert run.out == ""
    lines = [fields(line) for line in run.err.splitlines()]
    assert all(datetime.fromisoformat(line.pop("ts")).tzinfo is not None for line in lines)
    assert {line.pop("level") for line in lines} == {"info"}
    assert lines[0] == {"step": "collect", "source": "file", "listed": "3", "new": "3", "complete": "true"}
    assert lines[1].items() >= {"step": "compose", "profile": "me", "papers": "1", "scanned": "3"}.items()
    (mail,) = (line for line in lines if line.get("channel") == "email")
    assert mail.items() >= {"step": "dispatch", "profile": "me", "state": "sent", "attempts": "1"}.items()
    assert mail["recipient"] == "Me <me@example.org>"
    assert lines[-1].items() >= {"step": "run", "sources": "1", "papers": "3", "digests": "1"}.items()
    assert "error" not in lines[-1]


def test_json_says_the_same_and_what_went_wrong(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGEST_LOG", "json")
    with ScriptedServer([*ADDRESSED[:-1], ("RCPT", '550 5.1.1 no "such" user')]) as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config) == 1
    lines = [json.loads(line) for line in run.err.splitlines()]
    (failed,) = (line for line in lines if line["level"] == "error")
    assert failed["step"] == "dispatch"
    assert failed["state"] == "failed"
    assert 'no "such" user' in failed["error"]
    assert lines[-1]["not_delivered"] == 1
    assert run("run", "--config", config) == 0  # nothing is left to do
    assert [json.loads(line) for line in run.err.splitlines()][1].items() >= {
        "step": "compose",
        "papers": 0,
    }.items()


def test_what_ends_a_run_is_in_the_log(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "data").write_text("")
    assert run("run", "--config", config, "--log", "json") == 1
    (ended,) = (json.loads(line) for line in run.err.splitlines())
    assert (ended["step"], ended["level"], ended["kind"]) == ("end", "error", "StoreError")
    (tmp_path / "data").unlink()
    with locked(tmp_path / "data", wait=0):
        assert run("run", "--config", config, "--log", "json", "--no-wait") == 3
    assert json.loads(run.err)["kind"] == "BusyError"


def test_a_way_of_telling_that_nobody_knows_is_refused(tmp_path: Path, run: Run) -> None:
    assert run("run", "--config", configure(tmp_path), "--log", "xml") == 2
    assert "logfmt" in run.err


def test_others_warnings_and_traces_stand_in_the_log_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Telling("logfmt").open():
        logging.getLogger("apscheduler").warning("late\x1b[31m by %d s", 3)
        logging.getLogger("apscheduler").info("of no interest")
        try:
            int("broken")
        except ValueError:
            logging.getLogger("uvicorn").exception("")
    late, broken = capsys.readouterr().err.splitlines()
    assert late.endswith(r'level=warning logger=apscheduler message="late\u001b[31m by 3 s"')
    assert re.search(
        r'logger=uvicorn message="" exception="Traceback.*\\nValueError: .* \'broken\'"$', broken
    )
    logging.getLogger("digest").info("after the end")
    assert capsys.readouterr().err == ""


# --- once -------------------------------------------------------------------------------------


def deferred(number: int, seconds: int) -> Dispatched:
    delivery = Delivery(
        number, "d", "me", "email", "me@example.org", DeliveryState.SENDING, 1, None, None, None
    )
    error = TransientDeliveryError(f"451 come back in {seconds} s")
    return Dispatched(delivery, DeliveryState.DEFERRED, error)


def test_a_daemon_tells_of_the_same_trouble_once_an_hour(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling(once=True)
    telling.dispatched(deferred(1, 300), NOON)
    telling.dispatched(deferred(2, 240), NOON)  # for the same reason
    telling.trouble(StoreError("no room"), NOON)
    assert capsys.readouterr().err.count("\n") == 2
    telling.dispatched(deferred(1, 3), NOON + HOUR * 0.99)
    assert telling.trouble(StoreError("no room"), NOON + HOUR * 0.99) == 1
    assert capsys.readouterr().err == ""
    telling.dispatched(deferred(1, 3), NOON + HOUR)
    telling.trouble(StoreError("no answer"), NOON + HOUR)
    assert capsys.readouterr().err.count("\n") == 2


def test_each_message_that_failed_is_told_of_though_the_reason_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telling = Telling(once=True)
    for number in (1, 1, 2):
        done = deferred(number, 1)
        telling.dispatched(Dispatched(done.delivery, DeliveryState.FAILED, done.error), NOON)
    assert capsys.readouterr().err.count("Failed") == 2


def test_sources_that_fail_are_told_of_once_and_those_that_do_not_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telling = Telling(once=True)
    period = Period(NOON - HOUR, NOON)
    for _ in range(2):
        telling.collected(SourceReport("a", period, complete=False, error="gone"), NOON)
        telling.collected(SourceReport("b", period, complete=True, notes=("odd",)), NOON)
    out, err = capsys.readouterr()
    assert (err.count("a: gone"), err.count("b: odd"), out.count("b: 0 papers")) == (1, 1, 2)


def test_a_person_is_told_of_the_same_trouble_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert Telling().trouble(DigestError("odd"), NOON) == 1
    assert capsys.readouterr().err.count("digest: odd") == 2


def test_many_profiles_that_wait_fill_no_screen(tmp_path: Path, run: Run) -> None:
    names = [f"p{number}" for number in range(13)]
    config = configure(tmp_path, extra="[schedule]", profiles=names)
    assert run("run", "--config", config) == 0
    assert run("compose", "--config", config) == 0
    assert run.out.count("the next digest is due") == 10
    assert "and 3 more" in run.out
    assert run("compose", "--config", config, "--log", "json") == 0
    assert (run.out, run.err) == ("", "")


# --- for the owner alone ----------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_everything_but_the_public_files_is_its_owners_alone(tmp_path: Path, run: Run) -> None:
    before = os.umask(0o022)
    try:
        with ScriptedServer([*GREETED, ("MAIL", "451 try later")]) as server:
            config = configure(tmp_path, port=server.port)
            (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
            assert run("run", "--config", config) == 1
        assert run("preview", "--config", config, "--out", tmp_path / "out") == 0
    finally:
        os.umask(before)

    def modes(folder: str) -> set[int]:
        every = [tmp_path / folder, *(tmp_path / folder).rglob("*")]
        return {stat.S_IMODE(path.stat().st_mode) for path in every}

    assert (tmp_path / "data" / "digest.db").is_file()
    assert modes("data") <= {0o700, 0o600}
    assert modes("out") == {0o700, 0o600}
    assert modes("public") == {0o755, 0o644}
