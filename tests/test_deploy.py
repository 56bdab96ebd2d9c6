"""The files of config/deploy: what each manual says works, and what each scheduler runs does its work."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from apscheduler.triggers.cron import CronTrigger
from conftest import ROOT
from lxml import etree
from served import started
from smtp_server import recording_server
from tools import needed
from world import PROFILE, SWIN_PAGE, configure

from digest.cli import cli

DEPLOY = ROOT / "config" / "deploy"
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file() and path.name not in {"Dockerfile.dockerignore", "github-pages.yml", "digest.timer"}
)
SYSTEMD = DEPLOY / "systemd"
SERVICES = [SYSTEMD / "digest.service", SYSTEMD / "digest-schedule.service", SYSTEMD / "user/digest.service"]
LAST_ANSWER = 600  # seconds that a mail server may take for it (RFC 5321, 4.5.3.2.6)
PASSWORD = "nobody's pass word"  # noqa: S105 - nobody's
DIGEST = Path(sys.executable).with_name("digest")


# --- the manuals ---------------------------------------------------------------------------------


def manual(path: Path) -> str:
    """The comment that a file opens with."""
    text = path.read_text("utf-8")
    if path.suffix in {".xml", ".plist"}:
        comment = re.search(r"<!--\n(.*?)-->", text, re.DOTALL)
        assert comment
        return comment[1]
    lines = text.removeprefix("# syntax=docker/dockerfile:1\n").splitlines()
    ends = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return textwrap.dedent("\n".join(line.removeprefix("#") for line in lines[:ends]))


def shown(path: Path) -> Iterator[list[str]]:
    """The words of each command that a manual shows, as a shell would read them."""
    text = manual(path).replace("\\\n", " ").replace("\\", "/")
    for line in [*re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE), *re.findall(r"`(.+?)`", text)]:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        for word in words:
            if set(word) <= set("();<>|&"):
                yield command
                command = []
            else:
                command.append(word)
        yield command


def of_digest(words: Sequence[str]) -> list[str] | None:
    """What digest is given in a command, wherever it is called from and whatever its path."""
    for number in reversed(range(len(words) - 1)):
        if words[number].rpartition("/")[2] == "digest" and re.match(r"[a-z]", words[number + 1]):
            return list(words[number + 1 :])
    return None


def read(arguments: Sequence[str]) -> None:
    """Read arguments as `digest` does, and run nothing. Raises click.UsageError."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    _, left_over, _ = command.make_parser(context).parse_args(list(arguments))
    assert not left_over


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_a_manual_names_commands_that_exist_with_options_that_they_have(path: Path) -> None:
    commands = [arguments for words in shown(path) if (arguments := of_digest(words))]
    assert commands
    for arguments in commands:
        read(arguments)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_a_manual_copies_files_that_are_there(path: Path) -> None:
    for name in re.findall(r"config/deploy/[\w./*-]+", manual(path).replace("\\", "/")):
        assert list(ROOT.glob(name)), name


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("systemd/digest.service", "%h"),
        ("systemd/user/digest.service", "%h"),
        ("org.example.digest.plist", "/Users/me"),
        ("digest-task.xml", "%USERPROFILE%"),
        ("crontab", "$HOME"),
    ],
)
def test_what_is_run_is_what_the_manual_installs(name: str, home: str) -> None:
    above, text = manual(DEPLOY / name), (DEPLOY / name).read_text("utf-8")
    venv = re.search(r"-m venv \"?([^\s\"]+)", above)
    assert venv
    run = re.escape(venv[1].replace("~", home))
    assert re.search(
        rf"^(?!#).*{run}[/\\](?:bin|Scripts)[/\\](?:digest|pythonw)\b", text.replace(above, ""), re.MULTILINE
    )


def test_a_command_or_an_option_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="no command rum"):
        read(["rum"])
    with pytest.raises(click.UsageError, match="--onlin"):
        read(["check", "--onlin"])


# --- systemd -------------------------------------------------------------------------------------


def unit(path: Path) -> dict[str, list[str]]:
    """The settings of a unit; some have several values."""
    settings: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith(("#", "[")) and line:
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def seconds(span: str) -> float:
    """A time span, as systemd reads it."""
    done = subprocess.run(
        [needed("systemd-analyze"), "timespan", span], capture_output=True, text=True, check=True, timeout=60
    )
    found = re.search(r"μs: (\d+)", done.stdout)
    assert found
    return int(found[1]) / 1_000_000


def installed(folder: Path, *paths: Path) -> list[str]:
    """Copies of units whose program is there, because systemd looks."""
    copies = []
    for path in paths:
        copy = folder / path.name
        text = path.read_text("utf-8")
        copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text), "utf-8")
        copies.append(str(copy))
    return copies


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("--system", ["digest.service", "digest.timer", "digest-schedule.service"]),
        ("--user", ["user/digest.service", "user/digest.timer"]),
    ],
)
def test_systemd_understands_every_line(tmp_path: Path, scope: str, names: list[str]) -> None:
    copies = installed(tmp_path, *(SYSTEMD / name for name in names))
    done = subprocess.run(
        [needed("systemd-analyze"), scope, "--recursive-errors=no", "verify", "--man=no", *copies],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", SERVICES[:2], ids=lambda path: path.name)
def test_a_service_is_exposed_to_little_more_than_the_network(tmp_path: Path, path: Path) -> None:
    (copy,) = installed(tmp_path, path)
    command = [needed("systemd-analyze"), "security", "--offline=true", "--threshold=15", "--no-pager", copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_services_of_a_server_are_confined_alike() -> None:
    hourly, daemon = ((path.read_text("utf-8").partition("\nUser=")[2]) for path in SERVICES[:2])
    assert daemon.partition("\n[Install]")[0].rstrip() == hourly.rstrip()


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.relative_to(SYSTEMD)))
def test_a_service_starts_a_command_that_exists(path: Path) -> None:
    read(started_by(path))


def test_the_daemon_may_wait_for_the_last_answer_of_a_mail_server() -> None:
    (span,) = unit(SERVICES[1])["TimeoutStopSec"]
    assert seconds(span) > LAST_ANSWER


@pytest.mark.parametrize("name", ["digest.timer", "user/digest.timer"])
def test_a_digest_for_breakfast_is_there_for_breakfast(name: str) -> None:
    timer = unit(SYSTEMD / name)
    assert timer["OnCalendar"] == ["hourly"]
    assert seconds(timer["RandomizedDelaySec"][0]) <= 15 * 60
    assert timer["Persistent"] == ["yes"]


def test_the_daemon_is_not_started_again_when_its_configuration_is_wrong(tmp_path: Path) -> None:
    configure(tmp_path, extra='timezone_ = "Europe/Berlin"')
    arguments = there(started_by(SERVICES[1]), tmp_path)
    done = subprocess.run([DIGEST, *arguments], capture_output=True, check=False, timeout=60)
    assert unit(SERVICES[1])["RestartPreventExitStatus"] == [str(done.returncode)]


def started_by(path: Path) -> list[str]:
    """What a service gives digest."""
    ((_, *arguments),) = map(shlex.split, unit(path)["ExecStart"])
    return arguments


def there(arguments: Sequence[str], folder: Path) -> list[str]:
    """The arguments of a unit, with a configuration in that folder."""
    return [argument.replace("/etc/digest", str(folder)) for argument in arguments]


def said(path: Path) -> str:
    """The lines of digest.toml that a manual shows."""
    block = re.search(r"^ +(data_dir = .*?)\n\S", manual(path), re.MULTILINE | re.DOTALL)
    assert block
    return textwrap.dedent(f"    {block[1]}")


def confined(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Run digest.service in what it finds there: no home, a password from systemd, and its umask."""
    etc, state, credentials = (folder / name for name in ("etc", "state", "credentials"))
    for made in (etc / "profiles", etc / "inbox", state, credentials):
        made.mkdir(parents=True)
    service = unit(SERVICES[0])
    state.chmod(int(service["StateDirectoryMode"][0], 8))
    (credentials / service["LoadCredential"][0].partition(":")[0]).write_text(f"{PASSWORD}\n")
    recipients = 'recipients = ["Me <me@example.org>"]'
    (etc / "profiles" / "me.toml").write_text(PROFILE.format(name="me", recipients=recipients))
    (etc / "inbox" / "today.txt").write_text(SWIN_PAGE)
    (etc / "digest.toml").write_text(
        f'{said(SERVICES[0]).replace("/var/lib/digest", str(state))}\nusername = "me"\n'
        f'from = "Digest <digest@example.org>"\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        f'[schedule]\nat = ["07:00"]\n[[sources]]\nkind = "file"\npaths = ["inbox/"]\n'
    )
    return subprocess.run(
        [DIGEST, *there(started_by(SERVICES[0]), etc)],
        env={"CREDENTIALS_DIRECTORY": str(credentials), "PATH": os.defpath},
        umask=int(service["UMask"][0], 8),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_run_by_systemd_has_its_password_and_needs_no_home(tmp_path: Path) -> None:
    with recording_server(login=("me", PASSWORD)) as server:
        done = confined(tmp_path, server.port)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.messages) == 1


def test_of_what_a_run_by_systemd_leaves_others_read_what_is_published_alone(tmp_path: Path) -> None:
    with recording_server(login=("me", PASSWORD)) as server:
        assert confined(tmp_path, server.port).returncode == 0
    state = tmp_path / "state"
    for path in state.rglob("*"):
        is_public = path.is_relative_to(state / "public")
        wanted = (0o005 if path.is_dir() else 0o004) if is_public else 0
        assert path.stat().st_mode & 0o007 == wanted, path
    assert (state / "public" / "index.html").is_file()


# --- launchd -------------------------------------------------------------------------------------

# Of launchd.plist(5).
KEYS: dict[str, tuple[type, ...]] = {
    "EnvironmentVariables": (dict,),
    "ExitTimeOut": (int,),
    "KeepAlive": (bool, dict),
    "Label": (str,),
    "LowPriorityIO": (bool,),
    "Nice": (int,),
    "ProcessType": (str,),
    "ProgramArguments": (list,),
    "RunAtLoad": (bool,),
    "StandardErrorPath": (str,),
    "StandardOutPath": (str,),
    "StartCalendarInterval": (dict, list),
    "ThrottleInterval": (int,),
    "Umask": (int,),
    "WorkingDirectory": (str,),
}


def test_launchd_knows_every_key() -> None:
    path = DEPLOY / "org.example.digest.plist"
    job: dict[str, Any] = plistlib.loads(path.read_bytes())
    for key, value in job.items():
        assert type(value) in KEYS[key], key
    assert job["Label"] == path.stem
    assert job["ProcessType"] in {"Background", "Standard", "Adaptive", "Interactive"}
    assert job["Umask"] == 0o077
    assert set(job["StartCalendarInterval"]) == {"Minute"}  # each hour, and launchd makes up for those asleep
    program, *arguments = job["ProgramArguments"]
    assert program == "/Users/me/.local/digest/bin/digest"  # where the manual installs it
    read(arguments)


# --- Task Scheduler ------------------------------------------------------------------------------

TASK = (DEPLOY / "digest-task.xml").read_bytes()
SCHEMA = etree.RelaxNG(file=str(ROOT / "tests" / "data" / "deploy" / "task.rng"))
IN_TASKS = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


def of_task(path: str) -> str:
    """The text at a path of the task."""
    found = etree.fromstring(TASK).find("/".join(f"t:{name}" for name in path.split("/")), IN_TASKS)
    assert found is not None
    return found.text or ""


def test_schtasks_can_read_the_task() -> None:
    assert TASK.isascii()
    assert TASK.startswith(b'<?xml version="1.0"?>')  # neither a mark nor the name of an encoding
    task = etree.fromstring(TASK)
    SCHEMA.assertValid(task)
    actions = task.find("t:Actions", IN_TASKS)
    assert actions is not None
    assert [one.get("id") for one in task.iterfind("t:Principals/t:Principal", IN_TASKS)] == [
        actions.get("Context")
    ]


@pytest.mark.parametrize(
    ("found", "replacement"),
    [
        (b"PT1H", b"1 hour"),
        (b"<StartWhenAvailable>true", b"<StartWhenAvailable>yes"),
        (b"WhenAvailable>", b"WhenWanted>"),
        (b"</StartBoundary>", b"</StartBoundary><Enabled>true</Enabled>"),  # the order of a trigger is fixed
        (b"<Command>", b"<Command/><Command>"),
        (b"2026-01-01T00:03:00", b"2026-01-01"),
    ],
)
def test_a_task_that_the_scheduler_refuses_is_refused_here(found: bytes, replacement: bytes) -> None:
    assert found in TASK
    assert not SCHEMA.validate(etree.fromstring(TASK.replace(found, replacement)))


def test_the_task_runs_on_battery_once_at_a_time_and_makes_up_for_sleep() -> None:
    settings = {
        name: of_task(f"Settings/{name}") for name in ("StartWhenAvailable", "MultipleInstancesPolicy")
    }
    assert settings == {"StartWhenAvailable": "true", "MultipleInstancesPolicy": "IgnoreNew"}
    assert (
        of_task("Settings/DisallowStartIfOnBatteries")
        == of_task("Settings/StopIfGoingOnBatteries")
        == "false"
    )
    assert of_task("Settings/RunOnlyIfNetworkAvailable") == "true"
    repetition = "Triggers/CalendarTrigger/Repetition"
    assert (of_task(f"{repetition}/Interval"), of_task(f"{repetition}/Duration")) == ("PT1H", "P1D")


def test_the_task_does_its_work_without_a_console(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "inbox" / "today.txt").write_text(SWIN_PAGE)
    module, name, *arguments = of_task("Actions/Exec/Arguments").split()
    assert (module, name) == ("-m", "digest")
    # As pythonw.exe begins: https://docs.python.org/3/library/sys.html#sys.__stderr__
    without = "import runpy, sys; sys.stdin = sys.stdout = sys.stderr = None; runpy.run_module('digest')"
    done = subprocess.run(
        [sys.executable, "-c", without, *arguments],
        env={**os.environ, "DIGEST_CONFIG": str(tmp_path)},
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert (tmp_path / "public" / "index.html").is_file()


# --- cron ----------------------------------------------------------------------------------------


def cron_jobs() -> list[tuple[str, str]]:
    """The times and the command of each line."""
    lines = (DEPLOY / "crontab").read_text("utf-8").splitlines()
    split = [line.split(maxsplit=5) for line in lines if line and not line.startswith("#")]
    return [(" ".join(times), command) for *times, command in split]


def by_cron(home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as cron does; what is printed, it would mail."""
    ((_, command),) = cron_jobs()
    installed_there = home / ".local" / "digest" / "bin" / "digest"
    installed_there.parent.mkdir(parents=True)
    installed_there.symlink_to(DIGEST)
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env={"HOME": str(home), "PATH": os.defpath, "SHELL": "/bin/sh", "DIGEST_CONFIG": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_cron_looks_every_hour() -> None:
    ((times, command),) = cron_jobs()
    assert re.fullmatch(r"[1-9]\d? \* \* \* \*", times)  # not at the full hour, as everybody else
    assert CronTrigger.from_crontab(times)
    assert "%" not in command  # which cron reads as the end of the line
    arguments = of_digest(shlex.split(command.partition(">")[0]))
    assert arguments
    read(arguments)


def test_cron_mails_nothing_when_all_is_well(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "inbox" / "today.txt").write_text(SWIN_PAGE)
    done = by_cron(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "public" / "index.html").is_file()


def test_cron_mails_what_failed_and_nothing_else(tmp_path: Path) -> None:
    configure(tmp_path, extra='[[sources]]\nkind = "file"\nname = "gone"\npaths = ["gone.txt"]')
    (tmp_path / "inbox" / "today.txt").write_text(SWIN_PAGE)
    done = by_cron(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert all("gone" in line for line in done.stderr.splitlines())
    assert done.stderr


# --- containers ----------------------------------------------------------------------------------

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICE: dict[str, Any] = COMPOSE["services"]["digest"]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of the Dockerfile, stage by stage."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    found: list[list[tuple[str, str]]] = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            if name == "FROM":
                found.append([])
            found[-1].append((name, rest.strip()))
    return found


BUILD, FINAL = stages()
STARTS = dict(FINAL)


def words(instruction: str) -> list[str]:
    """The command of an instruction, which must not need a shell: that would keep signals to itself."""
    given = yaml.safe_load(instruction)
    assert isinstance(given, list)
    return given


def test_the_image_is_pinned_and_small_and_nobody_is_root_in_it() -> None:
    images = [rest.split()[0] for name, rest in [*BUILD, *FINAL] if name == "FROM"]
    assert {re.sub(r":3\.1[1-9]-slim-[a-z]+$", "", image) for image in images} == {"python"}
    assert [rest for name, rest in FINAL if name == "COPY"] == ["--from=build /opt/digest /opt/digest"]
    user = STARTS["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"-o {user.partition(':')[0]} " in STARTS["RUN"]  # who runs it owns its volume


def test_the_image_is_built_of_what_is_copied_into_it(tmp_path: Path) -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for sources in (rest.split()[:-1] for name, rest in BUILD if name == "COPY"):
        for source in sources:
            assert f"!{source}" in ignored
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, tmp_path / source)
    assert [line for line in ignored if not line.startswith(("#", "!"))] == ["*", "**/__pycache__"]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, f"--wheel-dir={tmp_path}", str(tmp_path)], check=True, timeout=120)
    assert list(tmp_path.glob("digest-*.whl"))


@pytest.mark.parametrize(("paths", "is_well"), [("inbox/", True), ("gone.txt", False)])
def test_the_image_starts_the_daemon_and_knows_how_it_is(
    tmp_path: Path, paths: str, *, is_well: bool
) -> None:
    config = configure(tmp_path, extra='[schedule]\nat = ["07:00"]')
    config.write_text(config.read_text().replace("inbox/", paths))
    run = subprocess.run([DIGEST, "run", "--config", config], check=False, capture_output=True, timeout=60)
    assert (run.returncode == 0) is is_well
    program, *arguments = words(STARTS["ENTRYPOINT"]) + words(STARTS["CMD"])
    interpreter, *probe = words(STARTS["HEALTHCHECK"].partition(" CMD ")[2])
    assert (program, interpreter) == ("digest", "python")

    def is_healthy(address: str) -> bool:
        command = [sys.executable, *(part.replace("http://127.0.0.1:8470", address) for part in probe)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=60).returncode == 0

    with started(*arguments, "--config", str(config)) as (process, address):
        assert is_healthy(address.rstrip("/")) is is_well
        process.terminate()
    assert process.returncode == 0
    assert not is_healthy(address.rstrip("/"))


def test_the_image_keeps_everything_in_its_volume() -> None:
    environment = dict(pair.split("=", 1) for pair in shlex.split(STARTS["ENV"]))
    code = "import platformdirs; print(platformdirs.user_data_path('digest'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert Path(done.stdout.strip()).is_relative_to(STARTS["VOLUME"])
    assert environment["DIGEST_CONFIG"].startswith("/config/")


def test_compose_gives_the_container_its_volume_to_write_to_and_nothing_else() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert SERVICE["volumes"] == ["./config:/config:ro", "data:/data"]
    assert SERVICE["user"] == STARTS["USER"]
    assert list(COMPOSE["volumes"]) == ["data"]
    assert "ports" not in SERVICE
    # Of the Compose Specification; one that it does not know, Compose refuses.
    assert set(SERVICE) <= {
        *("image", "pull_policy", "restart", "init", "stop_grace_period", "user", "secrets", "volumes"),
        *("read_only", "tmpfs", "cap_drop", "security_opt"),
    }


def test_compose_hands_the_password_over_where_the_manual_looks_for_it() -> None:
    assert SERVICE["secrets"] == list(COMPOSE["secrets"]) == ["smtp-password"]
    assert COMPOSE["secrets"]["smtp-password"] == {
        "file": "./smtp-password"
    }  # with read_only, nothing else goes
    assert '{ file = "/run/secrets/smtp-password" }' in manual(DEPLOY / "compose.yaml")


def test_compose_waits_for_the_last_answer_of_a_mail_server() -> None:
    minutes = re.fullmatch(r"(\d+)m", SERVICE["stop_grace_period"])
    assert minutes
    assert int(minutes[1]) * 60 > LAST_ANSWER
