"""README, CONTRIBUTING and SECURITY are executed: each command, each configuration, each piece of code.

A command that a manual shows is typed at a terminal, in a folder that holds what the manual speaks of; what
it shows below must be what is shown (see `shell`). A configuration is loaded by the program.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from commands import Run
from digests import profile, sample
from keyrings import with_keyring
from manuals import MANUALS, ROOT, Block, anchors, blocks, code, links, prose, rows, section, text
from shell import Step, Terminal, agrees, steps
from smtp_server import recording_server
from test_try import MONTH
from tools import UNMEASURED
from world import DAY, SWIN_PAGE, configure, paper

from digest import app, plugins
from digest.cli import cli, exit_code
from digest.config import NetworkTable
from digest.core.model import Listing, Need, Period, SourceReport
from digest.errors import BusyError, ConfigError, CredentialError, DigestError, SourceError
from digest.fetch.http.fetcher import MAX_BYTES
from digest.store.store import Store

DIGEST = Path(sys.executable).with_name("digest")

NOT_RUN = {
    r"python3 -m venv|\S*pip install": "it takes a minute and an index; CI types that very line",
    r"\S*python -m pytest": "these are the tests",
    r"\S*python tests/": "a benchmark, or it renews what the tests compare with",
    r"npm |git ": "it belongs to a checkout, not to the program",
    r"\S*(?:ruff|mypy|lint-imports|codespell)\b": "test_house runs them",
    r"sudo |systemctl|launchctl|schtasks|docker |\(?crontab|journalctl|tail ": "see test_deploy",
}
STAYS = {"serve", "schedule"}
ASKS = {"init", "secret set"}


# --- the folder in which a reader of the manual sits ----------------------------------------------


class Place:
    """A home and a checkout in it, with papers of a month, and the environment of whoever sits there."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self._port = port
        self._keyring: dict[str, str] = {}

    @property
    def environ(self) -> dict[str, str]:
        """Nothing of a person's who runs the tests, and no way out of this machine."""
        kept = {name: value for name, value in UNMEASURED.items() if name in {"LANG", "TMPDIR"}}
        nowhere = "http://127.0.0.1:9"
        return kept | {
            "HOME": str(self.folder),
            "PATH": f"{self.folder / 'bin'}:{self.checkout / '.venv/bin'}:/usr/bin:/bin",
            **self._keyring,
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    @property
    def answers(self) -> dict[str, str]:
        """What is said to `digest init` and `digest secret set`, by a piece of the question."""
        return {
            r"Password|Secret": "hunter2 hunter2",
            r"Topics": "Swin, talking face",
            r"E-mail": "me@example.org",
            r"Provider": "own",
            r"Mail server": f"127.0.0.1:{self._port}",
            r"Encryption": "none",
            r"Sources": "pages/",
            r"test mail|^Read ": "n",
        }

    def furnish(self) -> None:
        """Put in place what is there before anything is typed."""
        (self.folder / "bin").mkdir(parents=True)
        opener = self.folder / "bin" / "xdg-open"
        opener.write_text("#!/bin/sh\n")
        opener.chmod(0o755)
        self._keyring = with_keyring(self.folder)
        del self._keyring["XDG_CONFIG_HOME"]
        (self.checkout / ".venv/bin").mkdir(parents=True)
        (self.checkout / ".venv/bin/digest").symlink_to(DIGEST)
        (self.checkout / "tests").symlink_to(ROOT / "tests")
        for folder in (self.folder, self.checkout):
            (folder / "pages").mkdir()
            (folder / "pages" / "today.txt").write_text(SWIN_PAGE, encoding="utf-8")

    def configure(self, profiles: Sequence[str]) -> None:
        """A configuration, a store, and the files that commands of the manual name."""
        config = self.checkout / "config"
        config.mkdir()
        extra = '[schedule]\nat = ["07:00"]\n'
        configure(config, port=self._port, extra=extra, profiles=profiles)
        (config / "data").mkdir()
        store = Store(f"sqlite:///{config / 'data' / 'digest.db'}")
        now = app.now()
        known = [
            (paper("How a Piece of a Title Is Enough", "Nobody types all of it.", arxiv="2503.01234"), 40),
            (paper("A Paper That One Need Not Like", "It says so itself.", arxiv="2503.04321"), 40),
            *zip(MONTH, [1, 3, 3, 4, 10, 11, 2, 25, *range(1, 7)], strict=True),
        ]
        for one, ago in sorted(known, key=lambda pair: -pair[1]):
            seen = now - ago * DAY
            store.add(
                [Listing(one, "file", None, 0)],
                [],
                SourceReport("file", Period(seen, seen), complete=True, listed=1),
            )
        store.close()
        entries = (f"@misc{{{number}, title = {{{one.title}}}}}" for number, one in enumerate(MONTH[:3]))
        (self.checkout / "library.bib").write_text("\n".join(entries))
        records = [{"id": one.id, "title": one.title, "abstract": one.abstract} for one in MONTH]
        (self.checkout / "papers.jsonl").write_text("\n".join(map(json.dumps, records)))
        asked = {"qid": "1", "keywords": ["Swin"], "candidates": [one.id for one in MONTH]}
        (self.checkout / "requests.jsonl").write_text(json.dumps(asked))
        (self.checkout / "new.toml").write_text(
            'name = "new"\n[[interests]]\nname = "S"\nkeywords = ["Swin"]\n'
        )


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a mail server that takes everything."""
    with recording_server() as server:
        yield server.port


@pytest.fixture
def place(tmp_path: Path, port: int) -> Place:
    place = Place(tmp_path / "home", port)
    place.furnish()
    return place


def not_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, command)), None)


def typed(block: Block) -> list[Step]:
    """The commands of a block."""
    if block.language == "console":
        return steps(block.text)
    lines = block.text.replace("\\\n", " ").splitlines()
    return [Step(command.strip(), ()) for line in lines if line.strip() for command in line.split("&&")]


@pytest.mark.parametrize("block", blocks("console", "sh"), ids=str)
def test_what_a_manual_types_works_and_shows_what_it_says(block: Block, place: Place) -> None:
    commands = [step for step in typed(block) if not not_run(step.command)]
    if any(re.match(r"\S*digest init\b", step.command) for step in commands):
        shutil.copytree(ROOT / "config", place.checkout / "config")  # which comes first in a checkout
    else:
        named = re.findall(r"--profile ([a-z-]+)(?!\S)", block.text)
        place.configure(named or ["me"])
    with Terminal(place.checkout, place.environ, place.answers) as terminal:
        for step in commands:
            code, shown = terminal.run(step)
            assert not code, f"{step.command}\n{shown}"
            assert agrees(step.shown, shown), f"{step.command}\n{shown}"


def test_the_second_line_for_a_shell_is_the_one_that_ci_types() -> None:
    assert "-m pytest" in blocks("sh")[1].text
    assert not_run(typed(blocks("sh")[1])[-1].command)


@pytest.mark.parametrize(
    ("expected", "shown", "does"),
    [
        (["Wrote …", "…", "Next  run"], "Wrote a b\none\ntwo\nNext  run", True),
        (["Wrote …", "…", "Next  run"], "Wrote a b\nNext  run", True),
        (["Wrote …", "Next  run"], "Wrote a b\none\nNext  run", False),
        (["Wrote a  b c"], "Wrote a\n      b c", True),
        (["Wrote a b c"], "Wrote ab c", False),
        (["on 2026-11-18"], "on 2027-01-02   ", True),
        (["on 2026-11-18"], "on a day", False),
        (["one"], "one\ntwo", False),
        ([], "whatever", True),
    ],
)
def test_what_is_shown_is_compared_line_by_line(expected: list[str], shown: str, does: bool) -> None:  # noqa: FBT001
    assert agrees(expected, shown) is does


# --- commands within sentences --------------------------------------------------------------------


def commands_within() -> list[str]:
    """What the manuals' sentences and tables have somebody type."""
    found = (one for file in MANUALS for one in code(prose(file)) if re.match(r"digest [a-z]", one))
    return sorted(set(found))


def parsed(words: Sequence[str]) -> tuple[str, bool]:
    """The name of a command, and whether it is complete. Raises click.UsageError; runs nothing."""
    command: click.Command = cli
    context, names, left = click.Context(cli), list[str](), list(words)
    while isinstance(command, click.Group) and left:
        name = left.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"there is no command {name}")
        command, context = found, click.Context(found, parent=context, info_name=name)
        names.append(name)
    values, rest, _ = command.make_parser(context).parse_args(left)
    if rest:
        raise click.UsageError(f"nothing takes {rest}")
    needed = [one for one in command.params if one.required]
    is_complete = all(
        values.get(one.name) not in (None, ()) and _is_set(values.get(one.name)) for one in needed
    )
    is_group = isinstance(command, click.Group) and not command.invoke_without_command
    return " ".join(names), is_complete and not is_group


def _is_set(value: object) -> bool:
    return "UNSET" not in repr(value).upper()


def is_pattern(command: str) -> bool:
    """Whether it stands for several commands, or for what a reader is to put in."""
    return re.search(r"[\[…]|\S\|\S|\b[A-Z]{2,}\b", command) is not None


@pytest.mark.parametrize("command", [one for one in commands_within() if not is_pattern(one)])
def test_a_command_within_a_sentence_works(
    command: str, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(re.split(r" [>|] ", command)[0])[1:]
    name, is_complete = parsed(words)
    if is_complete and name not in STAYS | ASKS and "--open" not in words:  # which test_cli has opened
        place.configure(["me"])
        monkeypatch.chdir(place.checkout)
        for variable, value in place.environ.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delenv("DIGEST_CONFIG", raising=False)
        run = Run(capsys)
        assert run(*words) == 0, run.out + run.err


@pytest.mark.parametrize("wrong", ["rum", "check --onlin", "secret sat x", "status today"])
def test_a_command_that_does_not_exist_would_be_noticed(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(wrong.split())


# --- the table of commands ------------------------------------------------------------------------

ALWAYS = {"--help", "-h", "--version"}


def every_command(command: click.Command = cli, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    if command.invoke_without_command:
        yield name, command
    for one in command.list_commands(click.Context(command)):
        found = command.get_command(click.Context(command), one)
        assert found is not None
        yield from every_command(found, f"{name} {one}".strip())


EVERY = dict(every_command())


def options_of(name: str) -> set[str]:
    return {option for one in EVERY[name].params for option in one.opts if option.startswith("-")} - ALWAYS


def choices_of(name: str) -> set[str]:
    """The words that a command takes for an argument or an option."""
    choices = (one.type.choices for one in EVERY[name].params if isinstance(one.type, click.Choice))
    return {str(choice) for some in choices for choice in some}


def written(cell: str) -> Iterator[tuple[list[str], list[str]]]:
    """The commands that a cell of the table names, side by side, and their options."""
    group, names, options = "", list[str](), list[str]()
    for spelt in code(cell):
        for token in re.findall(r"--?[a-z][a-z-]*|(?<![-\w])[a-z]+(?![\w.])", spelt):
            if token == "digest":  # noqa: S105 - the program
                group = ""
                continue
            if token.startswith("-"):
                options.append(token)
                continue
            if any(token in choices_of(name) for name in names):
                continue
            if options:
                yield names, options
                names, options = [], []
            if any(one.startswith(f"{token} ") for one in EVERY):
                group = token
                if token in EVERY:
                    yield [token], []
                continue
            name = f"{group} {token}".strip()
            names.append(name if name in EVERY else token)
    if names:
        yield names, options


def agree(cell: str) -> Iterator[tuple[str, set[str]]]:
    """The commands that a cell or a sentence names, with the options that it gives each of them."""
    for names, options in written(cell):
        for name in names:
            assert name in EVERY, f"there is no `digest {name}`"
            assert set(options) <= options_of(name), (
                f"`digest {name}` has no {set(options) - options_of(name)}"
            )
            yield name, set(options)


@pytest.mark.parametrize("command", [one for one in commands_within() if is_pattern(one)])
def test_a_command_that_leaves_something_open_exists_with_its_options(command: str) -> None:
    assert list(agree(f"`{command}`"))


def test_every_command_stands_in_the_table_with_its_options_and_no_other() -> None:
    said = section("The commands")
    below = {one for span in code(said.rpartition("|\n")[2]) for one in re.findall(r"--[a-z-]+", span)}
    named: dict[str, set[str]] = {}
    for first, *_ in rows(said):
        for name, options in agree(first):
            named.setdefault(name, set()).update(options)
    assert set(EVERY) - set(named) == set()
    missing = {name: options_of(name) - options - below for name, options in named.items()}
    assert {name: options for name, options in missing.items() if options} == {}
    assert below <= {one for name in EVERY for one in options_of(name)}


def test_the_exit_codes_are_those_of_the_program() -> None:
    (said,) = re.findall(r"Exit codes: (.*)", prose("README.md"))
    codes = {int(number) for number in re.findall(r"\b(\d) [a-z]", said)}
    errors = (DigestError(""), SourceError(""), ConfigError(""), CredentialError(""), BusyError(""))
    assert codes == {0, *map(exit_code, errors)}


# --- configurations -------------------------------------------------------------------------------

PROFILE: dict[str, Any] = {"name": "me", "interests": [{"name": "Swin", "keywords": ["Swin"]}]}
MAIL = {"from": "Digest <me@example.org>"}
SERVER = {**MAIL, "host": "smtp.example.org", "security": "tls", "username": "me"}
CONFIG: dict[str, Any] = {
    "sources": [{"kind": "file", "paths": ["inbox/"]}],
    "email": SERVER,
    "webhooks": [{"name": "lab", "url": "https://lab.example.org/hook"}],
}
NEEDED: dict[str, dict[str, Any]] = {
    "arxiv": {"categories": ["cs.CV"]},
    "crossref": {"query": "x"},
    "europepmc": {"query": "x"},
    "feed": {"url": "https://lab.example.org/feed"},
    "file": {"paths": ["inbox/"]},
    "huggingface": {"pages": ["daily"]},
    "openalex": {"query": "x"},
    "openreview": {"venues": ["x"]},
    "pubmed": {"query": "x"},
    "semantic_scholar": {"query": "x"},
}


def contexts(given: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Configurations and profiles in which a piece of either may stand."""
    yield {**CONFIG, **given}, PROFILE
    yield CONFIG, {**PROFILE, **given}
    yield CONFIG, {**PROFILE, "interests": [{**PROFILE["interests"][0], **given}]}
    bases: list[Mapping[str, Any]] = [
        SERVER,
        {**MAIL, "transport": "sendmail"},
        {**MAIL, "transport": "maildir", "folder": "mails"},
    ]
    for base in bases:
        yield {**CONFIG, "email": {**base, **given}}, PROFILE
    tables: dict[str, Mapping[str, Any]] = {
        "feeds": {},
        "serve": {},
        "schedule": {},
        "network": {"proxy": "http://p"},
    }
    for name, base in tables.items():
        yield {**CONFIG, name: {**base, **given}}, PROFILE
    yield {**CONFIG, "webhooks": [{**CONFIG["webhooks"][0], **given}]}, PROFILE
    yield {**CONFIG, "email": {**SERVER, "imap": {"host": "imap.example.org", **given}}}, PROFILE
    for kind in plugins.names("sources"):
        yield {**CONFIG, "sources": [{"kind": kind, **NEEDED.get(kind, {}), **given}]}, PROFILE


def toml(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def load(folder: Path, config: Mapping[str, Any], profile: Mapping[str, Any]) -> app.App:
    """What the program makes of them. Raises ConfigError."""
    for name in ("templates", "profiles"):
        (folder / name).mkdir(exist_ok=True)
    for path, values in (("digest.toml", config), ("profiles/me.toml", profile)):
        lines = (f"{key} = {toml(value)}\n" for key, value in values.items())
        (folder / path).write_text("".join(lines), encoding="utf-8")
    for block in blocks("python"):
        for name, kind in modules():
            if f"class {kind}" in block.text:
                (folder / f"{name}.py").write_text(block.text, encoding="utf-8")
    made = app.load(str(folder / "digest.toml"), {})
    assert made.sources
    return made


def modules() -> set[tuple[str, str]]:
    """Modules of one's own that configurations of the manuals name, and their classes."""
    said = "".join(text(file) for file in MANUALS)
    return set(re.findall(r'(?:kind|ranker) = "(\w+):(\w+)"', said))


def accepted(folder: Path, given: Mapping[str, Any]) -> None:
    """Load what is given, wherever it may stand."""
    refused = []
    for config, person in contexts(given):
        try:
            load(folder, config, person)
        except ConfigError as error:
            refused.append(str(error))
        else:
            return
    pytest.fail("\n".join(refused))


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_configuration_of_a_manual_is_one_that_the_program_takes(block: Block, tmp_path: Path) -> None:
    accepted(tmp_path, tomllib.loads(block.text))


SETTING = re.compile(r"[a-z_]+ = \S.*")
SETTINGS = sorted({one for file in MANUALS for one in code(prose(file)) if SETTING.fullmatch(one)})


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_within_a_sentence_is_one_that_the_program_takes(setting: str, tmp_path: Path) -> None:
    accepted(tmp_path, tomllib.loads(setting))


def test_a_setting_that_does_not_exist_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="there is no such key"):
        accepted(tmp_path, {"overflaw": "carry"})


# --- code of one's own ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block", [one for one in blocks("python") if "def collect(" not in one.text], ids=str
)
def test_a_ranker_of_a_manual_ranks(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = (f"{module}:{kind}" for module, kind in modules() if f"class {kind}:" in block.text)
    made = load(tmp_path, {**CONFIG, "ranker": name}, PROFILE)
    ranker = made.ranker()
    papers = ranker.read(MONTH)
    lesson = ranker.learn(Need(keywords=("swin",), liked=(MONTH[0].id,)), papers)
    judged = ranker.judge(lesson, papers)
    assert set(judged) == {one.id for one in MONTH}
    best = max(MONTH, key=lambda one: judged[one.id].score)
    assert best == MONTH[0]
    assert {part.name for part in ranker.explain(lesson, best, keywords=True)} <= {
        word for word, _, _ in ranker.terms(lesson)
    }
    assert ranker.why(lesson, best, "Swin", keywords=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "P").write_text(json.dumps({"id": "1", "title": "Swin"}))
    (tmp_path / "R").write_text(json.dumps({"qid": "1", "keywords": ["swin"], "candidates": ["1"]}))
    run = Run(capsys)
    assert run("rank", "--papers", "P", "--requests", "R", "--out", "O", "--ranker", name) == 0, run.err
    assert json.loads((tmp_path / "O").read_text())["scores"]["1"] > 0


@pytest.mark.parametrize("block", blocks("jinja"), ids=str)
def test_a_form_of_a_webhook_of_a_manual_is_filled_in(block: Block, tmp_path: Path) -> None:
    (name,) = re.findall(r"`(webhook_\w+\.json\.j2)`", text(block.file))
    config = {**CONFIG, "templates": "templates"}
    load(tmp_path, config, PROFILE)
    (tmp_path / "templates" / name).write_text(block.text, encoding="utf-8")
    renderer = load(tmp_path, config, PROFILE).notices.renderer
    form = name.removeprefix("webhook_").removesuffix(".json.j2")
    body = json.loads(renderer.compose(profile(), sample(), form=form, values={}))
    assert sample().recommendations[0].paper.title in json.dumps(body, ensure_ascii=False)


def test_the_source_of_a_manual_has_its_configuration_beside_it() -> None:
    sources = [one for one in blocks("python") if "def collect(" in one.text]
    assert sources
    for block in sources:
        assert any(f"class {kind}:" in block.text for _, kind in modules()), block


# --- everything else ------------------------------------------------------------------------------


def test_the_limits_that_are_said_are_those_of_the_program() -> None:
    said = prose("SECURITY.md")
    assert f"{MAX_BYTES // 2**20} MB at most" in said
    assert f"{NetworkTable().timeout:g} seconds, unless `[network] timeout`" in said


def test_every_block_is_of_a_language_that_is_tried_here() -> None:
    tried = {"sh", "console", "toml", "python", "nginx", "jinja"}
    assert [str(block) for block in blocks() if block.language not in tried] == []


@pytest.mark.parametrize("block", blocks("nginx"), ids=str)
def test_a_proxy_hands_on_what_links_of_the_mail_lead_to_and_nothing_else(
    block: Block, tmp_path: Path
) -> None:
    served = re.fullmatch(
        r"location ~ (\S+) \{ proxy_pass (\S+); proxy_set_header Host \$host; \}", block.text.strip()
    )
    assert served
    for path in ("opinion", "stop"):
        assert re.match(served[1], f"/digest/{path}/token")
    for path in ("feeds", "archive", "healthz", "t/secret/opinion"):
        assert not re.match(served[1], f"/digest/{path}/token")
    (port,) = (one.default for one in EVERY["serve"].params if one.name == "port")
    assert served[2] == f"http://127.0.0.1:{port}"
    if program := shutil.which("nginx"):
        config = tmp_path / "nginx.conf"
        config.write_text(f"events {{}}\nhttp {{ server {{ listen 127.0.0.1:1; {block.text} }} }}\n")
        done = subprocess.run(
            [program, "-t", "-c", config, "-p", tmp_path],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", MANUALS)
def test_what_a_manual_leads_to_is_there(file: str) -> None:
    for link in links(file):
        path, _, anchor = link.partition("#")
        if "://" not in link:
            assert (ROOT / path).exists(), link
            if anchor:
                assert anchor in anchors(path or file), link


@pytest.mark.parametrize("file", MANUALS)
def test_a_path_within_a_sentence_is_there(file: str) -> None:
    for one in code(prose(file)):
        for path in re.findall(r"(?<![\w./-])(?:config|digest|templates|tests)/[\w./*<>-]+", one):
            assert list(ROOT.glob(re.sub(r"<\w+>", "*", path))), path


def test_every_template_stands_in_the_manual_and_every_one_there_is_a_template() -> None:
    spelt: list[str] = []
    for one in code(prose("README.md")):
        if re.fullmatch(r"(?:templates/)?[\w<>]*(\.\w+)?\.j2", one):
            name = one.removeprefix("templates/")
            # `email.html.j2`, `.txt.j2`
            spelt.append(f"{spelt[-1].partition('.')[0]}{name}" if name.startswith(".") else name)
    patterns = [
        re.sub(r"<\w+>", r"\\w+", re.escape(one).replace(r"\<", "<").replace(r"\>", ">")) for one in spelt
    ]
    files = [path.name for path in (ROOT / "templates").iterdir()]
    assert [one for one in files if not any(re.fullmatch(pattern, one) for pattern in patterns)] == []
    assert [one for one in patterns if not any(re.fullmatch(one, file) for file in files)] == []


def test_every_recipe_stands_in_its_table() -> None:
    deploy = ROOT / "config" / "deploy"
    cells = [one for _, second, *_ in rows(section("Every day, by itself")) for one in code(second)]
    assert [one for one in cells if not (deploy / one).is_file()] == []
    # A timer's service, and what an image leaves out, are installed with what the table names.
    named = {(deploy / one).with_suffix("") for one in cells}
    files = {path for path in deploy.rglob("*") if path.is_file()}
    assert {path for path in files if path.with_suffix("") not in named} == set()
