"""The recipe for GitHub, run as its runner would, with a repository on disk in the place of GitHub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from smtp_server import Recorder, recording_server
from tools import UNMEASURED, needed
from world import EMPTY_HANDED_PAGE, PROFILE, SWIN_PAGE

RECIPE = Path(__file__).resolve().parent.parent / "config" / "deploy" / "github-pages.yml"
TEXT = RECIPE.read_text("utf-8")
# BaseLoader leaves words as they are written; the others would read `on` as a truth value.
WORKFLOW: dict[str, Any] = yaml.load(TEXT, yaml.BaseLoader)  # noqa: S506 - it makes strings alone
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["digest"]["steps"]
SCRIPTS = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]

INSTALL = "pip install -q -c requirements.txt ."
PASSWORD = "nobody's pass word"  # noqa: S105 - nobody's
BRANCH = "digest-state"

ANOTHER_SWIN = """
SwinPond: Windows that Shift under Water
We film invented fish through a Swin backbone, and none of them mind."""


# Neither a hook that runs the tests nor the settings of a person say which repository is meant, or how.
ENVIRON = {
    **{name: value for name, value in UNMEASURED.items() if not name.startswith(("DIGEST_", "GIT_"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.run(
        ["git", *names, *arguments], cwd=folder, env=ENVIRON, check=True, capture_output=True, text=True
    ).stdout


class GitHub:
    """A repository of somebody's own, as its setup says, and the runs of its workflow."""

    def __init__(self, folder: Path, server: Recorder) -> None:
        self.folder, self.server = folder, server
        self.origin = folder / "origin.git"
        self._desk = folder / "desk"
        self._runs = 0
        folder.mkdir()
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(folder, "clone", "--quiet", str(self.origin), str(self._desk))
        git(self._desk, "checkout", "--quiet", "-b", "main")
        self.write("config/digest.toml", self.configuration())
        recipients = 'recipients = ["Me <me@example.org>"]'
        self.write("config/profiles/me.toml", PROFILE.format(name="me", recipients=recipients))
        self.write("config/inbox/today.txt", SWIN_PAGE)

    def configuration(self, sources: str = "") -> str:
        """What the comment of the recipe says, a mail server and a page."""
        block = re.search(r"^#\n((?:#(?: {8}.*)?\n)+?)#\n#    Leave", TEXT, re.MULTILINE)
        assert block
        said = textwrap.dedent(re.sub(r"^#", "", block[1], flags=re.MULTILINE))
        return (
            said.replace("<user>", "me").replace("<repository>", "papers")
            + f'username = "me"\nfrom = "Digest <digest@example.org>"\n'
            f'host = "127.0.0.1"\nport = {self.server.port}\nsecurity = "none"\n'
            f'[[sources]]\nkind = "file"\npaths = ["inbox/"]\n{sources}'
        )

    def write(self, path: str, text: str) -> None:
        file = self._desk / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        git(self._desk, "add", "--all")
        git(self._desk, "commit", "--quiet", "-m", "Change")
        git(self._desk, "push", "--quiet", "origin", "main")

    def start(self) -> Job:
        """A run that has checked the repository out, on a machine that knows nothing."""
        self._runs += 1
        machine = self.folder / f"machine-{self._runs}"
        machine.mkdir()
        git(machine, "clone", "--quiet", "--depth=1", self.origin.as_uri(), "work")
        return Job(machine)

    def run(self) -> Job:
        job = self.start()
        job.go()
        return job

    @property
    def kept(self) -> dict[str, bytes]:
        """The files of the state, as the manual has them looked at."""
        folder = self.folder / "looked-at"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        subprocess.run(
            ["bash", "-c", f"git archive {BRANCH} | tar -xO | tar -x -C {folder}"],
            cwd=self.origin,
            env=ENVIRON,
            check=True,
        )
        return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@dataclass
class Job:
    """The steps of the job "digest" on one machine; an action is stood in for by what it leaves behind."""

    machine: Path
    outcomes: dict[str, str] = field(default_factory=dict)
    site: dict[str, bytes] | None = None  # what was handed over to be published
    said: str = ""
    is_red: bool = False

    def __post_init__(self) -> None:
        self.work = self.machine / "work"
        self._steps = iter(STEPS)
        self._variables = self.machine / "variables"
        self._variables.touch()

    def go(self, *, until: str | None = None) -> None:
        """Take the steps that are left, or those up to the one of this id."""
        for step in self._steps:
            condition = step.get("if", "${{ success() }}").removeprefix("${{").removesuffix("}}")
            if self._holds(condition):
                self._take(step)
            if until is not None and step.get("id") == until:
                return

    def _take(self, step: dict[str, Any]) -> None:
        is_fine = True
        if "run" in step and step["run"] != INSTALL:  # what the tests run in has digest installed
            is_fine = self._bash(step["run"], step.get("env", {}))
        elif step.get("uses", "").startswith("actions/upload-pages-artifact@"):
            self.site = files(self.work / step["with"]["path"])
        self.outcomes[step.get("id", "")] = "success" if is_fine else "failure"
        self.is_red |= not is_fine and step.get("continue-on-error") != "true"

    def _bash(self, script: str, secrets: dict[str, str]) -> bool:
        environ = {
            **ENVIRON,
            "PATH": f"{Path(sys.executable).parent}:{ENVIRON['PATH']}",
            "HOME": str(self.machine),
            "XDG_DATA_HOME": str(self.machine / "data"),
            "RUNNER_TEMP": str(self.machine),
            "GITHUB_ENV": str(self._variables),
            **WORKFLOW["env"],
            **dict(line.split("=", 1) for line in self._variables.read_text().splitlines()),
            **dict.fromkeys(secrets, PASSWORD),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],  # as for `shell: bash`
            cwd=self.work,
            env=environ,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        self.said += done.stdout
        return done.returncode == 0

    def _holds(self, condition: str) -> bool:
        """Whether a condition holds: terms joined by "&&", and without a status function, success()."""
        if "||" in condition:
            return not self.is_red and any(map(self._holds, condition.split("||")))
        terms = [term.strip() for term in condition.split("&&")]
        return (not self.is_red or "always()" in terms) and all(map(self._term, terms))

    def _term(self, term: str) -> bool:
        if term in {"always()", "success()"}:
            return True
        if outcome := re.fullmatch(r"steps\.(\w+)\.outcome == '(\w+)'", term):
            return self.outcomes.get(outcome[1], "skipped") == outcome[2]
        pattern = re.fullmatch(r"hashFiles\('(.+)'\) != ''", term)
        assert pattern, f"{term} is not understood here"
        return any(path.is_file() for path in self.work.glob(pattern[1] + "/*"))


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    needed("git")
    with recording_server(login=("me", PASSWORD)) as server:
        yield GitHub(tmp_path / "github", server)


# --- what is written -----------------------------------------------------------------------------


def test_each_job_may_do_what_it_does_and_no_more() -> None:
    jobs = WORKFLOW["jobs"]
    assert WORKFLOW["permissions"] == {}
    assert jobs["digest"]["permissions"] == {"contents": "write"}
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert jobs["publish"]["environment"]["name"] == "github-pages"  # deploy-pages wants that one
    assert all(int(job["timeout-minutes"]) <= 60 for job in jobs.values())


def test_two_runs_never_overlap_and_none_is_cut_off() -> None:
    assert WORKFLOW["concurrency"] == {"group": "digest", "cancel-in-progress": "false"}


def test_it_runs_by_itself_off_the_full_hour_and_by_hand() -> None:
    (schedule,) = WORKFLOW["on"]["schedule"]
    assert re.match(r"[1-9]\d? ", schedule["cron"])
    assert "workflow_dispatch" in WORKFLOW["on"]


def test_actions_are_github_s_own_and_pinned_to_a_major_version() -> None:
    used = [step["uses"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]
    assert len(used) == 4
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


def test_a_secret_is_known_to_the_step_that_needs_it_and_to_no_other() -> None:
    holders = [step.get("id") for step in STEPS if "secrets." in str(step)]
    assert holders == ["dispatch"]
    elsewhere = {key: value for key, value in WORKFLOW.items() if key != "jobs"}
    jobs = [{key: value for key, value in job.items() if key != "steps"} for job in WORKFLOW["jobs"].values()]
    assert "secrets." not in str([elsewhere, jobs, WORKFLOW["jobs"]["publish"]])


def test_the_site_is_published_also_when_something_failed() -> None:
    digest, publish = WORKFLOW["jobs"]["digest"], WORKFLOW["jobs"]["publish"]
    assert digest["outputs"] == {"site": "${{ steps.site.outcome == 'success' }}"}
    assert publish["if"] == "${{ !cancelled() && needs.digest.outputs.site == 'true' }}"


def test_no_script_holds_what_github_fills_in() -> None:
    assert not [script for script in SCRIPTS if "${{" in script]  # it would be run, not read


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_sound(script: str) -> None:
    arguments = [needed("shellcheck"), "--shell=bash", "-"]
    done = subprocess.run(
        arguments,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LANG": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout


# --- what happens --------------------------------------------------------------------------------


def test_a_first_run_sends_its_mail_and_publishes_its_pages(github: GitHub) -> None:
    job = github.run()
    assert not job.is_red, job.said
    (mail,) = github.server.messages
    assert b"SwinLeaf" in mail.content
    assert job.site is not None
    assert b"SwinLeaf" in job.site["feeds/me/atom.xml"]
    assert b"https://me.github.io/papers/feeds/me/atom.xml" in job.site["feeds/me/atom.xml"]
    assert "index.html" in job.site
    assert not any(b"me@example.org" in content for content in job.site.values())  # nobody reads who reads


def test_a_run_with_nothing_new_sends_nothing_and_publishes_the_same_bytes(github: GitHub) -> None:
    first, second = github.run(), github.run()
    assert not second.is_red, second.said
    assert len(github.server.messages) == 1
    assert second.site == first.site


def test_a_new_paper_is_sent_and_no_other(github: GitHub) -> None:
    github.run()
    github.write("config/inbox/today.txt", SWIN_PAGE + ANOTHER_SWIN)
    job = github.run()
    assert not job.is_red, job.said
    _, mail = github.server.messages
    assert b"SwinPond" in mail.content
    assert b"SwinLeaf" not in mail.content
    assert job.site is not None
    feed = job.site["feeds/me/atom.xml"]
    assert b"SwinPond" in feed
    assert b"SwinLeaf" in feed


def test_one_commit_keeps_the_state_without_the_key_that_signs_links(github: GitHub) -> None:
    served = github.configuration('[serve]\nbase_url = "https://me.example.org"\n')  # against all advice
    github.write("config/digest.toml", served)
    made = github.run()
    assert (made.work / "state" / "feedback.key").is_file()
    github.run()
    assert git(github.origin, "rev-list", "--count", BRANCH) == "1\n"
    assert "digest.db" in github.kept
    assert "feedback.key" not in github.kept


def test_a_run_that_ends_after_sending_has_the_same_bytes_sent_once_more_at_worst(github: GitHub) -> None:
    github.start().go(until="dispatch")
    for _ in range(2):
        job = github.run()
        assert not job.is_red, job.said
    first, again = github.server.messages
    assert first.content == again.content
    assert b"\nMessage-ID: <" in first.content


def test_a_run_that_ends_before_sending_sends_with_the_next(github: GitHub) -> None:
    github.start().go(until="keep")
    assert github.server.messages == []
    github.write("config/inbox/today.txt", EMPTY_HANDED_PAGE)  # the page has moved on meanwhile
    assert not github.run().is_red
    (mail,) = github.server.messages
    assert b"SwinLeaf" in mail.content


def test_a_source_that_fails_makes_the_job_red_and_holds_nothing_up(github: GitHub) -> None:
    gone = '[[sources]]\nkind = "file"\nname = "gone"\npaths = ["gone.txt"]\n'
    github.write("config/digest.toml", github.configuration(gone))
    for _ in range(2):
        job = github.run()
        assert job.is_red
        assert job.outcomes["site"] == "success"
        assert job.site is not None
        assert b"SwinLeaf" in job.site["feeds/me/atom.xml"]
    assert len(github.server.messages) == 1


def test_mail_that_is_refused_makes_the_job_red_and_comes_with_a_later_run(github: GitHub) -> None:
    github.server.login = ("me", "another pass word")
    refused = github.run()
    assert refused.is_red
    assert refused.site is not None
    assert PASSWORD not in refused.said
    github.server.login = ("me", PASSWORD)
    assert not github.run().is_red
    assert len(github.server.messages) == 1


def test_of_two_runs_at_once_one_sends(github: GitHub) -> None:
    slow = github.start()
    slow.go(until="collect")
    assert not github.run().is_red
    slow.go()
    assert slow.is_red
    assert slow.site is None
    assert len(github.server.messages) == 1


def test_a_state_that_cannot_be_read_is_not_taken_for_none(github: GitHub) -> None:
    github.run()
    job = github.start()
    github.origin.rename(github.folder / "away")
    job.go()
    assert job.is_red
    assert "collect" not in job.outcomes
    assert len(github.server.messages) == 1


def test_nothing_is_sent_while_the_database_is_elsewhere(github: GitHub) -> None:
    def moved() -> str:
        return github.configuration().replace('data_dir = "../state"', "")

    github.write("config/digest.toml", moved())
    job = github.run()
    assert job.is_red
    assert 'data_dir = "../state"' in job.said
    github.write("config/digest.toml", github.configuration())
    assert not github.run().is_red
    github.write("config/digest.toml", moved())  # the state of earlier runs is restored, and not used
    assert github.run().is_red
    assert len(github.server.messages) == 1


def test_the_state_is_whole_after_a_step_was_killed_and_when_it_is_large(github: GitHub) -> None:
    job = github.start()
    job.go(until="collect")
    state = job.work / "state"
    killed = (
        "import os, sqlite3\n"
        "database = sqlite3.connect('digest.db')\n"
        "database.execute('CREATE TABLE written_at_last (word TEXT)')\n"
        "database.commit()\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=state, check=False)
    assert (state / "digest.db-wal").stat().st_size > 0
    with (state / "large").open("wb") as large:
        large.truncate(60_000_000)
    job.go(until="keep")
    assert not job.is_red, job.said
    parts = git(github.origin, "ls-tree", "--long", BRANCH).splitlines()
    assert max(int(part.split()[3]) for part in parts) < 50_000_000

    following = github.start()
    following.go(until="collect")
    state = following.work / "state"
    assert (state / "large").stat().st_size == 60_000_000
    asked = "import sqlite3; sqlite3.connect('digest.db').execute('SELECT * FROM written_at_last')"
    subprocess.run([sys.executable, "-c", asked], cwd=state, check=True)
