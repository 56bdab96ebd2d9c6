"""The commands, as a person runs them: whole configurations, real files, a real mail server on loopback."""

from __future__ import annotations

import email
import email.policy
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint
from io import StringIO
from pathlib import Path

import pytest
import trustme
from commands import Run
from keyrings import with_keyring
from smtp_server import (
    ADDRESSED,
    GREETED,
    HANG_UP,
    MESSAGE,
    STARTED,
    ScriptedServer,
    recording_server,
)
from world import EMPTY_HANDED_PAGE, SWIN_PAGE, configure, listings, paper, report

from digest import app, plugins
from digest.cli import _COMMANDS, _HELP, cli
from digest.config import load
from digest.errors import PluginError
from digest.resources import folder
from digest.store.lock import locked


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, with an empty home and no configuration in the environment."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("DIGEST_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def message(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text(content: bytes) -> str:
    body = message(content).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


# --- the whole line ---------------------------------------------------------------------------


def test_a_saved_page_becomes_one_mail_per_profile_feeds_and_archive_pages(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, profiles=("ada", "bob"))
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config) == 0
        assert sorted(m.rcpt_tos for m in server.messages) == [("ada@example.org",), ("bob@example.org",)]
        for sent in server.messages:
            assert "Leaf: Shifted Windows for Counting Leaves" in text(sent.content)
            assert "A Ledger for Honest Gardeners" not in text(sent.content)
            assert message(sent.content)["Subject"].startswith("1 paper")
        assert run("run", "--config", config) == 0
        assert len(server.messages) == 2
    for name in ("ada", "bob"):
        for form in ("rss.xml", "atom.xml", "feed.json"):
            assert b"SwinLeaf" in (tmp_path / "public" / "feeds" / name / form).read_bytes()
        assert (tmp_path / "public" / "archive" / name / "index.html").is_file()
    assert (tmp_path / "public" / "index.html").is_file()


def test_a_page_dropped_into_the_folder_later_brings_only_what_is_new(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(EMPTY_HANDED_PAGE, encoding="utf-8")
        assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 0
        assert "Nothing new" in run.out
        assert server.messages == []
        (tmp_path / "inbox" / "two.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config, "--at", "2026-11-21T07:00") == 0
        (sent,) = server.messages
        assert message(sent.content)["Date"] == "Sat, 21 Nov 2026 06:00:00 +0000"


def test_with_a_schedule_a_slot_is_composed_once_a_day(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, extra='[schedule]\nat = ["07:00"]')
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config, "--at", "2026-11-20T07:30") == 0
        assert run("run", "--config", config, "--at", "2026-11-20T08:30") == 0
        assert "the next digest is due Sat 21 Nov, 07:00" in run.out
        assert len(server.messages) == 1


def test_the_three_steps_do_what_run_does(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        for step in ("collect", "compose", "dispatch"):
            assert server.messages == []
            assert run(step, "--config", config) == 0
        assert len(server.messages) == 1


def test_a_dry_run_shows_what_would_come_and_leaves_no_trace(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        for _ in range(2):
            assert run("run", "--config", config, "--dry-run") == 0
            assert "Would send" in run.out
            assert "1 paper of 3" in run.out
        assert server.messages == []
        assert run("run", "--config", config, "--no-fetch") == 0
        assert server.messages == []
        assert run("run", "--config", config) == 0
        assert run("run", "--config", config, "--dry-run", "--no-fetch") == 0
        assert "Nothing new" in run.out


def test_one_profile_alone_can_be_run(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, profiles=("ada", "bob"))
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config, "--profile", "bob") == 0
        assert [m.rcpt_tos for m in server.messages] == [("bob@example.org",)]
        assert run("run", "--config", config, "--profile", "eve") == 2
        assert "There are ada, bob" in run.err


def test_a_refused_recipient_is_reported_and_stays_visible_until_retried(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with ScriptedServer([*ADDRESSED[:-1], ("RCPT", "550 5.1.1 no such user")]) as server:
        configure(tmp_path, port=server.port)
        assert run("run", "--config", config) == 1
        assert "no such user" in run.err
    assert run("status", "--config", config) == 0
    assert "failed" in run.out
    assert run("status", "--config", config, "--json") == 0
    number = json.loads(run.out)["deliveries"][0]["id"]
    assert run("outbox", "--config", config) == 0
    assert "no such user" in run.out
    assert run("outbox", "list", "--config", config) == 0
    assert "no such user" in run.out
    assert run("outbox", "retry", number, "--config", config) == 0
    with recording_server() as taking:
        configure(tmp_path, port=taking.port)
        assert run("dispatch", "--config", config) == 0
        assert len(taking.messages) == 1
    assert run("outbox", "--config", config, "retry", number) == 1
    assert "sent already" in run.err
    assert run("outbox", "--config", config, "retry", 999) == 1
    assert "no delivery 999" in run.err
    assert run("status", "--config", config) == 0
    assert "nothing needs you" in run.out


def test_a_busy_server_defers_and_the_next_run_delivers(tmp_path: Path, run: Run) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with ScriptedServer([*GREETED, ("MAIL", "451 try later")]) as server:
        config = configure(tmp_path, port=server.port)
        assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 1
        assert "Deferred" in run.err
    with recording_server() as taking:
        configure(tmp_path, port=taking.port)
        assert run("run", "--config", config, "--at", "2026-11-20T08:00") == 0
        assert len(taking.messages) == 1


def test_an_uncertain_delivery_waits_for_a_decision_when_that_is_wished(tmp_path: Path, run: Run) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with ScriptedServer([*STARTED, (MESSAGE, HANG_UP)]) as server:
        config = configure(tmp_path, port=server.port)
        with config.open("a") as file:
            file.write('when_uncertain = "hold"\n')
        assert run("run", "--config", config) == 1
        assert run("run", "--config", config) == 0  # nothing more is done about it
    assert run("status", "--config", config, "--json") == 0
    (delivery,) = json.loads(run.out)["deliveries"]
    assert delivery["state"] == "uncertain"
    assert run("status", "--config", config) == 0
    assert f"digest outbox resolve {delivery['id']} --sent" in run.out
    assert run("outbox", "--config", config, "resolve", delivery["id"]) == 2
    assert run("outbox", "--config", config, "resolve", delivery["id"], "--sent") == 0
    assert run("status", "--config", config, "--json") == 0
    assert json.loads(run.out)["deliveries"] == []


def test_a_missing_password_is_the_users_to_fix_and_nothing_is_lost(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with recording_server(login=("me", "pass word:é")) as server:
        config = configure(tmp_path, port=server.port)
        with config.open("a") as file:
            file.write('username = "me"\npassword = { env = "DIGEST_TEST_PASSWORD" }\n')
        monkeypatch.delenv("DIGEST_TEST_PASSWORD", raising=False)
        assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 2
        assert "DIGEST_TEST_PASSWORD" in run.err
        monkeypatch.setenv("DIGEST_TEST_PASSWORD", "wrong")
        assert run("run", "--config", config, "--at", "2026-11-20T07:05") == 1
        assert "wrong" not in run.out + run.err
        monkeypatch.setenv("DIGEST_TEST_PASSWORD", "pass word:é")
        assert run("check", "--config", config, "--online") == 0
        assert "takes our login" in run.out
        assert run("run", "--config", config, "--at", "2026-11-20T07:10") == 0
        assert len(server.messages) == 1


def test_while_another_run_is_active_the_second_says_so(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    monkeypatch.setattr("digest.cli.run._WAIT", 0.1)
    with locked(tmp_path / "data", wait=0):
        for step in ("run", "collect", "compose", "dispatch"):
            assert run(step, "--config", config) == 0
            assert "another run is active" in run.err
            assert run(step, "--config", config, "--no-wait") == 3
            assert "another run is active" in run.err


def test_a_second_run_waits_for_the_first_and_then_finds_nothing_left(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    held = threading.Event()

    def first() -> None:
        with locked(tmp_path / "data", wait=0):
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(10)
    assert run("run", "--config", config) == 0
    assert "another run is active; waiting for it" in run.err
    assert "Nothing new" in run.out
    thread.join()


def test_a_source_that_is_no_longer_configured_is_forgotten(tmp_path: Path, run: Run) -> None:
    gone = '[[sources]]\nkind = "file"\nname = "gone"\npaths = ["nowhere.txt"]\n'
    config = configure(tmp_path, extra=gone)
    assert run("run", "--config", config) == 1
    assert "gone: failed" in (run("status", "--config", config), run.out)[1]
    configure(tmp_path)
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("run", "--config", config) == 0
    assert "gone" not in (run("status", "--config", config), run.out)[1]
    assert b"gone" not in next((tmp_path / "public" / "archive" / "me").glob("me-*.html")).read_bytes()


# --- looking without acting -------------------------------------------------------------------


def test_a_preview_writes_every_form_and_records_nothing(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "profiles" / "me.toml").write_text(
        'name = "me"\n[[interests]]\nname = "Swin"\nkeywords = ["Swin"]\n'
    )
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("collect", "--config", config) == 0
    for _ in range(2):
        assert run("preview", "me", "--config", config, "--out", tmp_path / "out") == 0
        assert "1 paper of 3" in run.out
    names = {path.name for path in (tmp_path / "out" / "me").iterdir()}
    assert names == {"digest.eml", "digest.html", "digest.txt", "rss.xml", "atom.xml", "feed.json"}


def test_the_demo_needs_nothing_and_shows_the_right_papers(tmp_path: Path, run: Run) -> None:
    assert run("demo", "--out", tmp_path / "demo") == 0
    assert (tmp_path / "demo" / "index.html").as_uri() in run.out
    for name in ("swin", "talking-face"):
        for file in ("digest.eml", "digest.html", "digest.txt", "rss.xml", "atom.xml", "feed.json"):
            assert (tmp_path / "demo" / name / file).stat().st_size > 1000
        assert (tmp_path / "demo" / "archive" / name / "index.html").is_file()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("stored", "said"), [(20, ""), (21, "these are the newest 20; give more of the title")]
)
def test_of_many_papers_of_one_word_the_newest_are_explained(
    tmp_path: Path, run: Run, stored: int, said: str
) -> None:
    config = configure(tmp_path)
    with app.load(str(config), {}).store() as store:
        store.add(listings(*(paper(f"Ferns of Place {number}") for number in range(stored))), [], report())
    assert run("explain", "ferns", "--config", config, "--json") == 0
    assert len(json.loads(run.out)) == 20
    assert said in run.err
    assert bool(said) == bool(run.err)


def test_stored_papers_are_searched_and_explained(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("run", "--config", config) == 0
    assert run("papers", "--config", config) == 0
    assert "3 papers" in run.err
    assert run("papers", 'title:"talking face"', "--config", config, "--json") == 0
    assert [paper["title"] for paper in json.loads(run.out)] == ["Talking Faces Without a Mouth"]
    assert run("papers", "title:", "--config", config) == 2
    assert run("explain", "swinleaf", "--config", config) == 0
    assert "Swin: wanted" in run.out
    assert re.search(r"shown on .*, under Swin \(me-\d+T\d+Z\)", run.out)
    assert "Swin in title: SwinLeaf: Shifted Windows for Counting Leaves\n" in run.out
    assert run("explain", "ledger", "--config", config, "--profile", "me") == 0
    assert "wanted by no interest" in run.out
    assert "missing any of 'Swin'" in run.out
    assert run("explain", "nothing of the kind", "--config", config) == 1
    profile = tmp_path / "profiles" / "me.toml"
    written = profile.read_text(encoding="utf-8")
    profile.write_text(
        written.replace("[[interests]]", '[[interests]]\nexclude = ["leaf"]', 1), encoding="utf-8"
    )
    assert "'leaf' is excluded" in (found := explained(run, config, "swinleaf"))
    assert "against it: leaf in title: SwinLeaf: Shifted Windows for Counting Leaves" in found


def explained(run: Run, config: Path, title: str) -> str:
    assert run("explain", title, "--config", config, "--at", "2026-11-20T12:00") == 0
    return " ".join(run.out.split())


def test_what_is_beyond_the_limit_waits_comes_the_next_day_and_is_explained(tmp_path: Path, run: Run) -> None:
    page = SWIN_PAGE + (
        "\nMoss Gardens Seen by a Transformer\nMoss is slow, and so is a Swin that is asked to watch it grow."
    )
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        profile = tmp_path / "profiles" / "me.toml"
        original = profile.read_text(encoding="utf-8")
        keys = 'max_papers = 1\noverflow = "carry"\nchannels = ["email", "archive"]\n[[interests]]'
        profile.write_text(original.replace("[[interests]]", keys), encoding="utf-8")
        (tmp_path / "inbox" / "page.txt").write_text(page, encoding="utf-8")
        assert run("collect", "--config", config, "--at", "2026-11-20T06:00") == 0
        assert "not considered yet" in explained(run, config, "moss")
        assert "the next digest would let it wait: beyond max_papers 1" in " ".join(run.out.split())
        for at in ("2026-11-20T07:00", "2026-11-20T08:00"):
            assert run("run", "--config", config, "--no-fetch", "--at", at) == 0
            said = "me: 1 paper of 4: Swin 1, 1 waiting for the next digest"
            assert (said in " ".join(run.out.split())) == (at == "2026-11-20T07:00")
        (first,) = server.messages
        assert "SwinLeaf" in text(first.content)
        assert "Moss Gardens" not in text(first.content)
        html = message(first.content).get_body(("html",))
        assert html is not None
        (archived,) = (tmp_path / "public" / "archive" / "me").glob("me-*.html")
        for form in (text(first.content), html.get_content(), archived.read_text(encoding="utf-8")):
            assert "1 more waits for the next digest." in form
        waits = explained(run, config, "moss")
        assert "waits for the next digest: beyond max_papers 1, with" in waits
        assert "the next digest would show it under Swin" in waits
        assert run("run", "--config", config, "--no-fetch", "--at", "2026-11-21T07:00") == 0
        assert "Moss Gardens" in text(server.messages[1].content)
        assert "for the next digest" not in text(server.messages[1].content)
    assert run("explain", "moss", "--config", config, "--json") == 0
    (document,) = json.loads(run.out)
    (made,) = document["profiles"]
    assert (document["title"], document["sources"]) == ("Moss Gardens Seen by a Transformer", ["file"])
    assert (made["verdict"]["state"], made["coming"]) == ("shown", None)
    assert made["verdict"]["slot"] == "2026-11-21T06:00:00+00:00"
    assert sum(part["value"] for part in made["parts"]) == pytest.approx(made["score"])
    assert [match["field"] for match in made["interests"][0]["matches"]] == ["abstract"]


def test_an_explanation_says_what_the_limits_of_a_profile_did(tmp_path: Path, run: Run) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "old.bib").write_text(
        "@article{a, title={Old Swin Clocks}, year={2001}, author={Ada Bright}, month=jan}"
    )
    (tmp_path / "inbox" / "page.txt").write_text(
        SWIN_PAGE
        + "\nTwo Swins in a Swin Boat\nWho rows a Swin? Nobody rows a Swin, but Swin upon Swin drifts.",
        encoding="utf-8",
    )
    config = configure(tmp_path)
    profile = tmp_path / "profiles" / "me.toml"
    original = profile.read_text(encoding="utf-8")

    def change(keys: str, interest: str = "") -> None:
        text = original.replace("[[interests]]", f"{keys}\n[[interests]]") + interest
        profile.write_text(text, encoding="utf-8")

    change("min_score = 99\nmax_age_days = 30")
    assert run("collect", "--config", config, "--at", "2026-11-20T06:00") == 0
    assert "the next digest would leave it out as too old: 2001-01-01, and max" in explained(
        run, config, "clocks"
    )
    assert "the next digest would not show it: score" in explained(run, config, "swinleaf")
    assert "the next digest would not show it: no interest wants it" in explained(run, config, "ledger")
    change("max_papers = 1")
    assert "the next digest would show it under Swin" in explained(run, config, "boat")
    assert "the next digest would list it by title: beyond max_papers 1, with" in explained(
        run, config, "swinleaf"
    )
    change("max_age_days = 30\nmax_papers = 1", '\nrequire = ["boat"]')
    nearly = explained(run, config, "swinleaf")
    assert "the next digest would not show it: 'boat' is required" in nearly
    assert "Swin: not wanted: 'boat' is required; would be" in nearly
    change("max_papers = 1\nmax_age_days = 30", "max_papers = 1")
    assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 0
    assert re.search(r"listed by title on .*: beyond max_papers 1, with", explained(run, config, "swinleaf"))
    assert "left out as too old: 2001-01-01" in explained(run, config, "clocks")
    boat = explained(run, config, "boat")
    assert re.search(r"Swin in abstract: .* and 2 more", boat)
    (archived,) = (tmp_path / "public" / "archive" / "me").glob("me-*.html")
    assert "1 more paper left out for age (max_age_days)." in archived.read_text(encoding="utf-8")
    change("")
    assert "looked at before and not chosen" in explained(run, config, "clocks")
    change("min_score = 99")
    assert re.search("a near miss: score .* is below min_score 99.0", explained(run, config, "clocks"))


def test_an_explanation_says_when_a_paper_was_not_even_considered(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("collect", "--config", config, "--at", "2026-11-10T06:00") == 0
    lookback = "not considered: it came before the 3 days that the first digest looks back"
    assert lookback in explained(run, config, "swinleaf")
    with config.open("a", encoding="utf-8") as file:
        file.write('\n[[sources]]\nkind = "file"\nname = "other"\npaths = ["inbox/"]\n')
    profile = tmp_path / "profiles" / "me.toml"
    profile.write_text(profile.read_text().replace("[[interests]]", 'sources = ["other"]\n[[interests]]'))
    sources = "not considered: it was listed by file, and the profile reads other"
    assert sources in explained(run, config, "swinleaf")


def test_of_two_equal_papers_no_score_is_given_as_the_reason(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    profile = tmp_path / "profiles" / "me.toml"
    profile.write_text(profile.read_text().replace("[[interests]]", "max_papers = 1\n[[interests]]"))
    (tmp_path / "inbox" / "two.bib").write_text(
        "@article{a, title={Swin of the Left}, year={2026}, author={Ada Bright}}\n"
        "@article{b, title={Swin of the Right}, year={2026}, author={Bruno Kerze}}\n"
    )
    assert run("run", "--config", config, "--at", "2026-11-20T06:00") == 0
    both = explained(run, config, "swin of the")
    assert re.search(r"listed by title on [^()]*: beyond max_papers 1 \(me-", both)
    assert "\n\nSwin of the" in run.out


def test_what_is_quoted_does_not_steer_the_terminal(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    long = "影像" * 90
    (tmp_path / "inbox" / "one.bib").write_text(
        f"@article{{a, title={{Swin \x9b31m \u202e turned}}, abstract={{{long}Swin{long}}}, "
        "year={2026}, author={Ada Bright}}",
        encoding="utf-8",
    )
    assert run("collect", "--config", config, "--at", "2026-11-20T06:00") == 0
    said = explained(run, config, "turned")
    assert not {"\x1b", "\x9b", "\u202e"} & set(run.out)
    assert re.search("Swin in abstract: …[影像]{72}Swin[影像]{72}…", said)


def test_a_page_is_read_and_shown_for_people_and_for_programs(tmp_path: Path, run: Run) -> None:
    page = tmp_path / "page.txt"
    page.write_text(SWIN_PAGE, encoding="utf-8")
    assert run("read", page) == 0
    assert "3 papers" in run.out
    assert run("read", page, "--json") == 0
    document = json.loads(run.out)
    assert [paper["title"] for paper in document["papers"]][1] == "A Ledger for Honest Gardeners"
    assert document["captured_on"] is None
    assert run("read", page, page, "--json") == 0
    assert len(json.loads(run.out)["pages"]) == 2


# --- bad input --------------------------------------------------------------------------------

WALL = "<html><title>Log in</title><form><input type='password' name='p'></form></html>"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "nothing in it"),
        (b" \n\n ", "nothing in it"),
        (b"\x7fELF\x00\x01\x02" * 50, "binary"),
        (WALL.encode(), "log in"),
        (b"Dear diary, today I read no papers.", "no papers can be found"),
    ],
)
def test_what_is_no_page_of_papers_is_an_error_with_place_and_remedy(
    tmp_path: Path, run: Run, content: bytes, says: str
) -> None:
    file = tmp_path / "inbox.txt"
    file.write_bytes(content)
    assert run("read", file, "--json") == 1
    assert run.out == ""
    assert "inbox.txt" in run.err
    assert says in run.err
    assert "Save the page" in run.err or "Open the page" in run.err
    config = configure(tmp_path)
    (tmp_path / "inbox" / "bad.txt").write_bytes(content)
    (tmp_path / "inbox" / "good.txt").write_text(SWIN_PAGE, encoding="utf-8")
    for _ in range(2):  # it is reported until it is gone
        assert run("run", "--config", config) == 1
        assert "bad.txt" in run.err
    assert run("papers", "--config", config) == 0
    assert "3 papers" in run.err


def test_a_missing_file_is_an_error(tmp_path: Path, run: Run) -> None:
    assert run("read", tmp_path / "missing.html") == 1
    assert "missing.html: there is no such file" in run.err


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (("data_dir", "data_dri"), "digest.toml:2", "Did you mean data_dir?"),
        (('kind = "file"', 'kind = "flie"'), "digest.toml:6", "Did you mean file?"),
        (('paths = ["inbox/"]', 'path = ["inbox/"]'), "digest.toml:7", "Did you mean paths?"),
        (('paths = ["inbox/"]', ""), "digest.toml:5", "needs paths"),
        (('paths = ["inbox/"]', "paths = 3"), "digest.toml:7", "paths"),
        (("Europe/Berlin", "Europe/Berlim"), "digest.toml:1", "did you mean Europe/Berlin?"),
        (("port = 25", 'port = "25"'), "digest.toml:11", "email.port"),
        (("port = 25", "port = 25\nport = 26"), "digest.toml:12", "not TOML"),
        (('security = "none"', 'security = "maybe"'), "digest.toml:12", "'tls'"),
        (
            ('security = "none"', 'security = "none"\npassword = "hunter2"'),
            "digest.toml:13",
            "digest secret set",
        ),
        (
            ('security = "none"', 'security = "none"\npassword = { env = "A", file = "b" }'),
            "digest.toml:13",
            "name one place",
        ),
        (("Digest <digest@example.org>", "nobody"), "digest.toml:9", "write an address"),
        (
            ("[email]", '[network]\nproxy = "http://me:hunter2@proxy"\n[email]'),
            "digest.toml:9",
            "proxy_password",
        ),
        (("[email]", '[network]\nno_proxy = ["intranet"]\n[email]'), "digest.toml:8", "need a proxy"),
        (
            ("[email]", '[network]\nproxy = "http://p"\nproxy_password = { env = "P" }\n[email]'),
            "digest.toml:8",
            "needs a proxy_username",
        ),
        (
            ("[email]", '[[sources]]\nkind = "openalex"\nquery = "x"\nkey = "hunter2"\n[email]'),
            "digest.toml:11",
            "digest secret set",
        ),
        (("[[sources]]", "[sources]"), "digest.toml:5", "list"),
        (('timezone = "Europe/Berlin"', "timezone = "), "digest.toml:1", "not TOML"),
        (
            ('output_dir = "public"', 'output_dir = "public"\nprofiles = "none/*.toml"'),
            "digest.toml:4",
            "no profile",
        ),
    ],
)
def test_a_mistake_in_the_configuration_names_file_line_and_remedy(
    tmp_path: Path, run: Run, change: tuple[str, str], place: str, says: str
) -> None:
    config = configure(tmp_path, port=25)
    original = config.read_text(encoding="utf-8")
    assert change[0] in original
    config.write_text(original.replace(*change, 1), encoding="utf-8")
    assert run("run", "--config", config) == 2
    assert place in run.err
    assert says in run.err
    assert "hunter2" not in run.err
    assert run.out == ""
    assert not (tmp_path / "data" / "digest.db").exists()
    assert run("check", "--config", config, "--json") == 2


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (("keywords", "keyword"), "me.toml:6", "Did you mean keywords?"),
        (('["Swin"]', '["Swin", "..."]'), "me.toml:6", "no word"),
        (('keywords = ["Swin"]', 'query = "swin AND (gan"'), "me.toml:6", "^ column 10"),
        (('keywords = ["Swin"]', 'exclude = ["Swin"]'), "me.toml:4", "says nothing"),
        (('name = "me"', 'name = "Me too"'), "me.toml:1", "name"),
        (
            ('keywords = ["Swin"]', 'keywords = ["Swin"]\n[[interests]]\nname = "Swin"\nkeywords = ["GAN"]'),
            "me.toml:8",
            "two are called",
        ),
        (("me@example.org", "me at example.org"), "me.toml:3", "write an address"),
        (("me@example.org", "mé@example.org"), "me.toml:3", "beyond ASCII"),
        (('recipients = ["Me <me@example.org>"]', 'channels = ["email"]'), "me.toml:3", "somebody to go to"),
        (('keywords = ["Swin"]', 'keywords = ["Swin"]\nweight = -1'), "me.toml:7", "greater than 0"),
        (('recipients = ["Me <me@example.org>"]', 'sources = ["fiel"]'), "me.toml:3", "Did you mean 'file'?"),
        (('title = "Papers for me"', 'overflow = "carri"'), "me.toml:2", "'list' or 'carry'"),
        (('title = "Papers for me"', "overflows = 1"), "me.toml:2", "Did you mean overflow?"),
        (('title = "Papers for me"', "max_paper = 1"), "me.toml:2", "Did you mean max_papers?"),
        (('title = "Papers for me"', "max_papers = 0"), "me.toml:2", "greater than 0"),
        (('title = "Papers for me"', "max_papers = true"), "me.toml:2", "a whole number, without quotes"),
        (('title = "Papers for me"', "min_score = 0"), "me.toml:2", "greater than 0"),
        (('title = "Papers for me"', "min_score = inf"), "me.toml:2", "finite"),
        (('title = "Papers for me"', 'min_score = "1.5"'), "me.toml:2", "a number, without quotes"),
        (('title = "Papers for me"', "min_scor = 1.5"), "me.toml:2", "Did you mean min_score?"),
        (('title = "Papers for me"', "max_age_days = -1"), "me.toml:2", "greater than 0"),
        (('title = "Papers for me"', "max_age_days = 1.5"), "me.toml:2", "a whole number, without quotes"),
        (('title = "Papers for me"', "max_age_days = 99999999999"), "me.toml:2", "36500"),
        (('title = "Papers for me"', "max_age = 3"), "me.toml:2", "Did you mean max_age_days?"),
        (('keywords = ["Swin"]', 'keywords = ["Swin"]\nmax_papers = 0'), "me.toml:7", "greater than 0"),
        (('keywords = ["Swin"]', 'keywords = ["Swin"]\nmax_paper = 1'), "me.toml:7", "mean max_papers?"),
        (('keywords = ["Swin"]', 'keywords = ["Swin"]\nweight = nan'), "me.toml:7", "finite"),
    ],
)
def test_a_mistake_in_a_profile_names_file_line_and_remedy(
    tmp_path: Path, run: Run, change: tuple[str, str], place: str, says: str
) -> None:
    config = configure(tmp_path, port=25)
    profile = tmp_path / "profiles" / "me.toml"
    original = profile.read_text(encoding="utf-8")
    assert change[0] in original
    profile.write_text(original.replace(*change, 1), encoding="utf-8")
    assert run("run", "--config", config) == 2
    assert place in run.err
    assert says in run.err


def test_several_mistakes_are_all_said_at_once(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, port=25)
    config.write_text(config.read_text().replace("data_dir", "data_dri").replace("host", "hots"))
    assert run("run", "--config", config) == 2
    assert "Did you mean data_dir?" in run.err
    assert "Did you mean host?" in run.err


def test_two_sources_or_profiles_of_one_name_are_refused(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    bob = tmp_path / "profiles" / "bob.toml"
    bob.write_text(bob.read_text().replace('"bob"', '"ada"'))
    with config.open("a") as file:
        file.write("[email]\nfrom = 'a@example.org'\nhost = 'h'\nport = 25\nsecurity = 'tls'\n")
    assert run("run", "--config", config) == 2
    ada = tmp_path / "profiles" / "ada.toml"
    assert f"{bob}:1: two profiles are called 'ada': this one and {ada}. Change `name = …`" in run.err
    config = configure(tmp_path, profiles=())
    with config.open("a") as file:
        file.write('[[sources]]\nkind = "file"\npaths = []\n')
    assert run("run", "--config", config) == 2
    assert "two sources are called 'file'" in run.err


def test_recipients_need_a_mail_server(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    profile = tmp_path / "profiles" / "me.toml"
    profile.write_text('recipients = ["me@example.org"]\n' + profile.read_text())
    assert run("run", "--config", config) == 2
    assert "there is no mail server" in run.err


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"timezone = \xe9"])
def test_a_configuration_that_is_not_utf8_is_refused(tmp_path: Path, run: Run, content: bytes) -> None:
    (tmp_path / "digest.toml").write_bytes(content)
    assert run("run", "--config", tmp_path / "digest.toml") == 2
    assert "UTF-8" in run.err


def test_without_a_configuration_the_way_out_is_said(tmp_path: Path, run: Run) -> None:
    assert run("run") == 2
    assert "digest init" in run.err
    assert run("run", "--config", tmp_path / "nowhere.toml") == 2
    assert "there is no such file" in run.err


def test_a_configuration_is_found_by_environment_and_folder(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    configure(tmp_path / "config")
    assert run("status") == 0
    monkeypatch.setenv("DIGEST_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir("/")
    assert run("status") == 0
    assert "me: no digest yet" in run.out


def test_a_time_that_is_none_is_a_usage_error(tmp_path: Path, run: Run) -> None:
    assert run("run", "--config", configure(tmp_path), "--at", "breakfast") == 2
    assert "2026-11-20T07:00" in run.err


def test_a_wrong_command_is_a_usage_error(run: Run) -> None:
    assert run("rnu") == 2
    assert "No such command" in run.err


def test_help_names_every_command(run: Run) -> None:
    assert run("--help") == 0
    assert all(name in run.out for name in _COMMANDS)
    for name in _COMMANDS:
        assert run(name, "--help") == 0
    assert list(_COMMANDS) == list(_HELP) == cli.list_commands(None)  # type: ignore[arg-type]


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "digest", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "version" in done.stdout


# --- setting up -------------------------------------------------------------------------------


def test_the_example_configuration_is_right_as_it_stands() -> None:
    loaded = load(folder("config") / "digest.toml")
    assert [profile.name for profile in loaded.profiles] == ["swin", "talking-face"]
    assert loaded.email is None


def test_a_secret_is_kept_in_the_keyring_and_never_shown(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in with_keyring(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert run("secret", "test", "digest-smtp") == 2
    assert "digest secret set digest-smtp" in run.err
    assert run("secret", "set", "digest-smtp", "--value", "hunter2") == 0
    assert "hunter2" not in run.out + run.err
    assert run("secret", "test", "digest-smtp") == 0
    assert "hunter2" not in run.out + run.err
    assert run("secret", "forget", "digest-smtp") == 0
    assert run("secret", "test", "digest-smtp") == 2


def test_a_secret_is_asked_for_where_there_is_a_keyring_alone(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in with_keyring(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", StringIO("hunter22\n"))
    monkeypatch.setattr("click.termui.hidden_prompt_func", input)
    assert run("secret", "set", "digest-smtp") == 0
    assert "Secret: " in run.out
    assert run("secret", "test", "digest-smtp") == 0
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    assert run("secret", "set", "digest-smtp") == 2
    assert "Secret: " not in run.out
    assert "this machine has no keyring" in run.err


# --- the world outside ------------------------------------------------------------------------


def test_a_server_with_a_certificate_of_ones_own_is_trusted_by_ca_file(tmp_path: Path, run: Run) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with recording_server(tls=tls) as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
        secure = config.read_text().replace('"none"', '"tls"')
        config.write_text(secure)
        assert run("run", "--config", config) == 1
        assert "certificate" in run.err
        config.write_text(secure + 'ca_file = "nothing.pem"\n')
        assert run("run", "--config", config) == 2
        assert "nothing.pem" in run.err
        config.write_text(secure + 'ca_file = "ca.pem"\n')
        assert run("run", "--config", config) == 0
        assert len(server.messages) == 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web site on loopback with one page."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    handler = partial(SimpleHTTPRequestHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_on_the_web_is_read(run: Run, site: str) -> None:
    assert run("read", f"{site}/page.txt") == 0
    assert "3 papers" in run.out
    assert run("read", f"{site}/nothing.txt") == 1
    assert "404" in run.err


def test_without_a_network_a_live_source_is_reported_and_the_rest_goes_on(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    # Every request is sent to a proxy at which nobody listens.
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    monkeypatch.setattr("digest.fetch.http.fetcher._BACKOFF", (0.0, 0.0))
    config = configure(tmp_path, extra='contact = "me@example.org"\n[[sources]]\nkind = "huggingface"\n')
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("run", "--config", config) == 1
    assert "Failed      huggingface: " in run.err
    assert "Composed    me: 1 paper of 3: Swin 1" in run.out
    assert run("status", "--config", config) == 0
    assert "huggingface: failed" in run.out


def test_a_dry_run_needs_sqlite(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra='database = "postgresql+psycopg://nobody@127.0.0.1/none"')
    assert run("run", "--config", config, "--dry-run") == 2
    assert "digest preview" in run.err


def test_a_template_of_ones_own_is_used_and_its_mistakes_are_shown(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "email.txt.j2"
    mine.write_text("Good morning: {{ digest.title }}\n")
    config = configure(tmp_path, extra='templates = "mine"')
    assert run("preview", "--config", config, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "me" / "digest.txt").read_text().startswith("Good morning: Papers for me")
    assert run("check", "--config", config) == 0
    assert "templates   each can be filled in; yours: email.txt.j2" in run.out
    mine.write_text("\n{{ digset.title }}\n")
    assert run("check", "--config", config) == 1
    assert "email.txt.j2:2" in run.out


def test_a_check_says_which_templates_are_yours(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine").mkdir()
    config = configure(tmp_path, extra='templates = "mine"')
    assert run("check", "--config", config) == 0
    assert "each can be filled in; yours: none" in run.out
    shutil.copy(folder("templates") / "feed.css.j2", tmp_path / "mine")
    assert run("check", "--config", config) == 0
    assert "yours: feed.css.j2" in run.out


@pytest.mark.parametrize("name", sorted(path.name for path in folder("templates").iterdir()))
def test_a_check_finds_a_mistake_in_any_template_though_nothing_is_stored(
    name: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "mine").mkdir()
    extra = 'templates = "mine"\n[serve]\nbase_url = "https://digest.example"'
    config = configure(tmp_path, extra=extra)
    text = (folder("templates") / name).read_text(encoding="utf-8")
    (tmp_path / "mine" / name).write_text(text + "{% set some = misspelt.thing %}", encoding="utf-8")
    assert run("check", "--config", config) == 1
    assert f"{name}:" in run.out
    assert "misspelt" in run.out


def test_a_folder_of_templates_must_be_there(tmp_path: Path, run: Run) -> None:
    assert run("status", "--config", configure(tmp_path, extra='templates = "nowhere"')) == 2
    assert f"digest.toml:4: templates: there is no folder {tmp_path / 'nowhere'}." in run.err


def test_a_mistake_in_a_template_loses_nothing(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "email_card.html.j2"
    mine.write_text("{{ paper.titel }}")
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, extra='templates = "mine"')
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config) == 1
        assert f"{mine}:1: the template failed: 'digest.core.model.Paper object' has no" in run.err
        assert server.messages == []
        mine.write_text("<p>{{ paper.title }}</p>")
        assert run("run", "--config", config) == 0
        (sent,) = server.messages
    page = message(sent.content).get_body(("html",))
    assert page is not None
    assert "Leaf: Shifted Windows for Counting Leaves</p>" in page.get_content()


def test_help_for_a_stop_by_hand(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert run("status") == 130
    assert "Stopped" in run.err


def test_the_schedule_command_needs_a_schedule(tmp_path: Path, run: Run) -> None:
    assert run("schedule", "--config", configure(tmp_path)) == 2
    assert "Add [schedule]" in run.err


def test_a_plug_in_of_ones_own_is_a_source(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_source.py").write_text(
        "from digest.core.identity import title_id\n"
        "from digest.core.model import Listing, Paper, Reading\n"
        "class Greetings:\n"
        "    def __init__(self, name, *, count: int = 1):\n"
        "        self.name, self.count = name, count\n"
        "    def collect(self, period):\n"
        "        yield from ()\n"
        "        papers = [Paper(title_id(f'Swin {n}'), f'Swin {n}') for n in range(self.count)]\n"
        "        found = tuple(Listing(p, self.name, None, n) for n, p in enumerate(papers))\n"
        "        return Reading('mine', found)\n"
        "class Strict(Greetings):\n"
        "    def __init__(self, name, *, count: int):\n"
        "        raise ValueError('count must be even')\n"
        "class Broken(Greetings):\n"
        "    def __init__(self, name, *, count: int):\n"
        "        {}['count']\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    table = '[[sources]]\nkind = "my_source:{kind}"\nname = "mine"\ncount = {count}\n'
    config = configure(tmp_path, extra=table.format(kind="Greetings", count=2))
    assert run("run", "--config", config) == 0
    assert "mine: 2 papers listed, 2 new" in run.out
    configure(tmp_path, extra=table.format(kind="Strict", count=3))
    assert run("run", "--config", config) == 2
    assert "count must be even" in run.err
    configure(tmp_path, extra=table.format(kind="Broken", count=3))
    assert run("run", "--config", config) == 1
    assert "my_source:Broken: the source cannot be made: KeyError: 'count'" in run.err
    configure(tmp_path, extra=table.format(kind="Missing", count=3))
    assert run("run", "--config", config) == 1
    assert "my_source:Missing: the plug-in cannot be loaded" in run.err


@pytest.mark.parametrize("command", ["demo", "preview"])
def test_where_nothing_can_be_written_another_folder_can_be_named(
    tmp_path: Path, run: Run, command: str
) -> None:
    config = configure(tmp_path)
    (tmp_path / "file").write_text("")
    options = ("--config", config) if command == "preview" else ()
    assert run(command, *options, "--out", tmp_path / "file" / "out") == 1
    assert "or name another with `--out`." in run.err


def test_a_demo_that_cannot_read_or_write_says_why(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert run("demo", "--out", tmp_path / "file" / "demo") == 1
    assert str(tmp_path / "file") in run.err
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "feeds").write_text("")
    assert run("demo", "--out", tmp_path / "half") == 1
    assert str(tmp_path / "half" / "feeds") in run.err
    shutil.copytree(folder("config") / "profiles", tmp_path / "bare" / "profiles")
    monkeypatch.setattr("digest.resources.folder", lambda _name: tmp_path / "bare")
    assert run("demo", "--out", tmp_path / "demo") == 1
    assert "daily-papers.html: there is no such file" in run.err


def test_a_demo_without_a_match_still_ends_well(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder("config"), tmp_path / "mine")
    profile = tmp_path / "mine" / "profiles" / "swin.toml"
    profile.write_text('name = "swin"\n[[interests]]\nname = "Leaf"\nkeywords = ["no such word at all"]\n')
    monkeypatch.setattr("digest.resources.folder", lambda _name: tmp_path / "mine")
    assert run("demo", "--out", tmp_path / "demo") == 0
    assert "talking-face" in run.out


def test_the_time_may_come_with_its_offset(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    assert run("run", "--config", config, "--at", "2026-11-20T06:00:00Z") == 0
    assert run("status", "--config", config, "--at", "2026-11-25T12:00") == 0
    assert "last digest Fri 20 Nov, 07:00" in run.out


def test_a_preview_can_be_opened(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    assert run("preview", "--config", configure(tmp_path), "--out", tmp_path / "out", "--open") == 0
    assert opened == [(tmp_path / "out" / "me" / "digest.html").as_uri()]


def test_notes_of_a_page_are_shown_with_it(tmp_path: Path, run: Run) -> None:
    page = tmp_path / "page.txt"
    card = "Swin\n\nAn abstract that is long enough to be one, about leaves.\n\n  • 2 authors\n·\nDec 3\n"
    page.write_text(f"Daily Papers\n\nDec 10\n\n{card}", encoding="utf-8")
    assert run("read", page) == 0
    assert "--captured-on" in run.out
    assert run("read", page, "--captured-on", "2025-12-10") == 0
    assert "2025-12-03  Swin" in run.out


def test_what_waits_and_what_needs_you_is_told_apart(tmp_path: Path, run: Run) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with ScriptedServer([*GREETED, ("MAIL", "451 try later")]) as server:
        config = configure(tmp_path, port=server.port)
        assert run("run", "--config", config) == 1
    assert run("status", "--config", config) == 0
    assert "try later" in run.out
    assert "digest outbox retry" not in run.out


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ('[schedule]\nat = ["7:00"]', 'write a time as "07:00"'),
        ('timezones = "Berlin"', "a source of kind 'file' has no key 'timezones'"),
        ('[feeds]\nbase_url = "example.org"', "begins with https://"),
        ('[feeds]\nbase_url = "https://example.org/digest/"\nentries = 0', "greater than 0"),
        ("[schedule]\nat = []", "at least 1"),
        ('[email]\nfrom = "a@b.c"\nhost = "h"\nsecurity = "tls"\nprot = 465', "Did you mean port?"),
        ("[zzz]\nx = 1", "There are timezone"),
    ],
)
def test_other_mistakes_are_said_as_clearly(tmp_path: Path, run: Run, extra: str, says: str) -> None:
    config = configure(tmp_path)
    config.write_text(config.read_text().replace('timezone = "Europe/Berlin"', "") + extra)
    assert run("check", "--config", config) == 2
    assert says in run.out


def test_a_configuration_needs_a_source(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    config.write_text('timezone = "UTC"\n')
    assert run("run", "--config", config) == 2
    assert "digest.toml: sources: this key is needed. Write [[sources]], and below it kind = " in run.err


def test_a_profile_may_name_its_sources(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    profile = tmp_path / "profiles" / "me.toml"
    profile.write_text('sources = ["file"]\n' + profile.read_text())
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    assert run("run", "--config", config) == 0
    assert "Composed    me: 1 paper of 3" in run.out


def test_a_profile_that_cannot_be_read_is_named(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "profiles" / "you.toml").mkdir()
    assert run("check", "--config", config) == 2
    assert "you.toml: the file cannot be read" in run.out


def test_an_entry_point_that_does_not_load_names_the_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module:Source", "digest.sources")
    monkeypatch.setattr("digest.plugins._points", lambda _group: (broken,))
    with pytest.raises(PluginError, match="broken: the plug-in cannot be loaded"):
        plugins.load("sources", "broken")


def test_paths_that_cannot_be_made_or_looked_up_are_told_in_words(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    (tmp_path / "data").write_text("")
    for command in ("run", "status"):
        assert run(command, "--config", config) == 1
        assert f"{tmp_path / 'data'}: this folder cannot be written" in run.err
    (tmp_path / "data").unlink()
    (tmp_path / "data" / "digest.lock").mkdir(parents=True)
    assert run("run", "--config", config) == 1
    assert "this folder cannot be written" in run.err
    (tmp_path / "data" / "digest.lock").rmdir()
    config.write_text(config.read_text().replace("inbox/", "x" * 300))
    assert run("run", "--config", config) == 1
    assert "this path cannot be looked up" in run.err
