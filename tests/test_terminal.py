"""What people see on a terminal, and how soon: lines that fit, colours, progress, help, completion."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition, Thread

import click
import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from tools import UNMEASURED, needed
from world import SWIN_PAGE, configure, listings, paper, report

from digest.cli import cli, main, output
from digest.cli.man import _text
from digest.cli.output import cells, line, progress, row, shortened, wrapped
from digest.store.store import Store

fcntl = pytest.importorskip("fcntl", reason="there are no terminals to open on Windows")
termios = pytest.importorskip("termios")

CODES = re.compile(r"\x1b\[[\d;]*m")
AT = ("--at", "2026-11-20T12:00")


class Screen(io.StringIO):
    """A terminal without a descriptor, as some programs lend one."""

    def isatty(self) -> bool:
        return True


def taken(text: str) -> int:
    """Cells by the tables of Python, which are others than those of the program (Unicode TR 11)."""
    return sum(
        0 if unicodedata.category(one) in {"Mn", "Me"} else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


class Terminal:
    """A terminal of so many columns, and what was written to it."""

    def __init__(self, columns: int = 80) -> None:
        self.master, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, columns.to_bytes(2, sys.byteorder).rjust(4, b"\0") + bytes(4))
        self.stream = os.fdopen(other, "w", encoding="utf-8")
        self.text = ""
        self._more = Condition()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        content = b""
        while piece := self._piece():
            content += piece
            with self._more:
                self.text = content.decode(errors="ignore").replace("\r\n", "\n")
                self._more.notify_all()

    def _piece(self) -> bytes:
        try:
            return os.read(self.master, 4096)
        except OSError:  # how Linux says that the other end is closed
            return b""

    def wait_for(self, text: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: text in self.text, timeout=30), self.text

    def close(self) -> str:
        self.stream.close()
        self._reader.join()
        os.close(self.master)
        return self.text

    @property
    def lines(self) -> list[str]:
        """What stands there in the end: a returned carriage writes over its line."""
        rows = []
        for written in CODES.sub("", self.text).split("\n"):
            shown = ""
            for part in written.split("\r"):
                shown = part + shown[len(part) :]
            rows.append(shown.rstrip())
        return rows


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of whoever runs the tests."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "DIGEST_CONFIG", "DIGEST_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80, *streams: str) -> Iterator[Terminal]:
    """Standard output and standard error are a terminal, or those that are named."""
    opened = Terminal(columns)
    with monkeypatch.context() as patched:
        for name in streams or ("stdout", "stderr"):
            patched.setattr(sys, name, opened.stream)
        yield opened
        opened.close()


def shown(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: object) -> Terminal:
    """What a command writes on a terminal."""
    with terminal(monkeypatch, columns) as opened, pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 0, opened.text
    return opened


TITLES = [
    "一种用于说话人脸生成的移位窗口变换器及其在低资源方言口型同步任务中的系统性评估与消融实验研究报告 Swin",
    r"\textbf{Swin} at $O(n \log n)$: The \emph{Shifted} Windows of H\"older's Tower, and \(\beta\)-Leaves",
    "Swin \x1b[2J\x1b[31mred\x07 bells \u202e turned, and a title that goes on for longer than any terminal",
    f"Swin {'🚀' * 3} rockets {'🚀' * 50} to the moon",
    "Swin " + "e\u0301" * 120,
    "Swin" + "x" * 150,
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store holds a page's papers and those of awkward titles."""
    path = configure(tmp_path)
    (tmp_path / "data").mkdir()
    store = Store(f"sqlite:///{tmp_path / 'data' / 'digest.db'}")
    found = [
        paper(title, "It counts Swin leaves. " * 9, arxiv=f"2611.0000{n}") for n, title in enumerate(TITLES)
    ]
    store.add(listings(*found, source="file"), [], report("file"))
    store.close()
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    return path


# --- lines that fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 130])
def test_no_line_of_any_command_is_wider_than_the_terminal(
    config: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = config.parent / "inbox" / "page.txt"
    page.write_text(f"{SWIN_PAGE}\n{TITLES[0]}\nIt counts the leaves of a Swin again.")
    monkeypatch.chdir(config.parent)
    commands: Sequence[Sequence[object]] = (
        ("run", "--config", config, *AT),
        ("status", "--config", config, *AT),
        ("papers", "--config", config),
        ("explain", "2611.00001", "--config", config, *AT),
        ("like", "2611.00000", "2611.00002", "--no-fetch", "--config", config),
        ("likes", "--config", config),
        (
            "try",
            "Swin",
            "talking face",
            "a keyword that is longer than its column is",
            "--config",
            config,
            *AT,
        ),
        ("terms", "--config", config),
        ("outbox", "--config", config),
        ("outbox", "show", "1", "--config", config),
        ("preview", "--config", config, "--out", "out"),
        ("access", "list", "--config", config),
        ("read", "inbox/page.txt"),
        ("demo", "--out", "demo"),
    )
    for command in commands:
        opened = shown(monkeypatch, columns, *command)
        assert opened.text.strip(), command
        for text in opened.lines:
            # A path or an address is to be copied, so it is never broken.
            assert taken(text) <= columns or re.fullmatch(r"[\w ]{,12}\S*/\S*", text), (command, text)
        assert "\x1b[2J" not in opened.text
        assert "\x07" not in opened.text


def test_nothing_is_broken_or_shortened_in_a_pipe(config: Path, run: Run) -> None:
    assert run("likes", "--config", config) == 0
    assert run("like", "2611.00005", "2611.00000", "--no-fetch", "--config", config) == 0
    for command in (("likes",), ("papers",), ("try", "Swin", "--all", *AT)):
        assert run(*command, "--config", config) == 0
        assert TITLES[5] in run.out.replace("*", "")
        assert TITLES[0] in run.out.replace("*", "")
        assert "\x1b" not in run.out


def test_a_row_goes_on_below_itself_or_below_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, 40) as opened:
        row("2026-11-20", "A title that has more words than the line has room")
        row("2026-11-20  like     title:1f2e3d4c5b6a", "A title that has more words than room")
    assert opened.lines[:-1] == [
        "2026-11-20  A title that has more words",
        "            than the line has room",
        "2026-11-20  like     title:1f2e3d4c5b6a",
        "            A title that has more words",
        "            than room",
    ]


def test_what_is_copied_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"https://papers.example/{'a' * 40}"
    with terminal(monkeypatch, 40) as opened:
        line("Feed", address)
        line("Mail", f"written to {address}")
        line("Remedy", "Say so by `digest outbox resume ada`.")
    assert opened.lines[:-1] == [
        f"Feed        {address}",
        "Mail        written to",
        f"            {address}",
        "Remedy      Say so by",
        "            `digest outbox resume ada`.",
    ]


def test_a_style_goes_on_where_a_line_is_broken_and_not_between() -> None:
    bold = click.style("three words more", bold=True)
    assert list(wrapped(f"with {bold} here", 12, hang=2)) == [
        "with \x1b[1mthree\x1b[0m",
        "  \x1b[1mwords more\x1b[0m",
        "  here",
    ]


@pytest.mark.parametrize(
    ("text", "room", "kept"),
    [
        ("leaves", 6, "leaves"),
        ("leaves", 5, "leav…"),
        ("树叶和草", 6, "树叶…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("树", 1, "树…"),
    ],
)
def test_what_has_no_room_is_shortened_by_cells(text: str, room: int, kept: str) -> None:
    assert shortened(text, room) == kept


@given(
    st.text(st.sampled_from("ab 树🚀\u0301\ufe0f`/:-"), max_size=60), st.integers(12, 40), st.integers(0, 8)
)
def test_breaking_loses_nothing_but_spaces(text: str, room: int, hang: int) -> None:
    broken = list(wrapped(text, room + hang, hang))
    assert "".join("".join(broken).split()) == "".join(text.split())
    for shown_line in broken:
        assert cells(shown_line) <= room + hang or re.search("[`/:]", shown_line)


def test_a_terminal_that_does_not_know_its_width_is_as_wide_as_most(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, 0):
        assert output.width() == 80
        monkeypatch.setenv("COLUMNS", "30")
        assert output.width() == 30
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "stdout", Screen())
    assert output.width() == 80
    monkeypatch.setattr(sys, "stdout", None)  # as under pythonw.exe
    assert output.width() is None


# --- colours ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "on_terminal", "is_coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
    ],
)
def test_styles_are_for_terminals_unless_somebody_says_otherwise(
    config: Path,
    environ: dict[str, str],
    on_terminal: bool,  # noqa: FBT001 - a parameter of the test
    is_coloured: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    command = ("try", "Swin", "--config", config, *AT)
    if on_terminal:
        text = shown(monkeypatch, 80, *command).text
    else:
        assert run(*command) == 0
        text = run.out
    assert ("\x1b[" in text) == is_coloured
    assert ("*Swin*" in text) != is_coloured  # what is found is marked in any case


def test_standard_error_may_be_a_terminal_alone(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del config
    with terminal(monkeypatch, 80, "stderr") as opened, pytest.raises(SystemExit):
        main(["status", "--config", "nowhere.toml"])
    assert opened.text.startswith("\x1b[31mdigest:\x1b[0m nowhere.toml: there is no such file")
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal(monkeypatch, 80, "stderr") as opened, pytest.raises(SystemExit):
        main(["status", "--config", "nowhere.toml"])
    assert opened.text.startswith("digest: nowhere.toml")


# --- progress ---------------------------------------------------------------------------------


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar waits."""
    monkeypatch.setattr("digest.cli.output._SOON", 0)
    monkeypatch.setattr("digest.cli.output._AGAIN", 0.01)


@pytest.mark.usefixtures("_soon")
def test_one_sees_what_is_awaited_and_nothing_of_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ark", "bay", "cove", "dell", "\x1b[2Jedge"]
    with terminal(monkeypatch, 100) as opened:
        with progress("Collecting", names) as done, progress("Within", names) as ignored:
            opened.wait_for(f"Collecting  {'░' * 20} 0/5  waiting for ark, bay, cove and 2 more  0 s")
            done("bay")
            line("Said", "something meanwhile")
            opened.wait_for("████░░░░░░░░░░░░░░░░ 1/5  waiting for ark, cove, dell and 1 more")
            for name in ("ark", "cove", "dell"):
                done(name)
            ignored("edge")
            opened.wait_for("4/5  waiting for  [2Jedge")
        line("Done", "and over")
    assert opened.lines == ["Said        something meanwhile", "Done        and over", ""]
    assert "\x1b[2J" not in opened.text


@pytest.mark.usefixtures("_soon")
def test_what_has_no_known_end_is_counted_on_a_narrow_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, 24) as opened, progress("Composing") as done:
        opened.wait_for("Composing  0 s")
        done("ada")
        opened.wait_for("Composing  1 done  0 s")
    with terminal(monkeypatch, 24) as opened, progress("Delivering", total=3):
        opened.wait_for("\rDelivering  ░░░░░░░░░░…")
    assert opened.lines == [""]


def test_what_is_soon_done_shows_no_bar_and_others_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as opened, progress("Collecting", ["ark", "bay"]) as done:
        done("ark")
    assert opened.text == ""
    monkeypatch.setattr("digest.cli.output._SOON", 0)
    monkeypatch.setenv("TERM", "dumb")
    with terminal(monkeypatch) as opened, progress("Collecting", ["ark", "bay"]) as done:
        done("ark")
    assert opened.text == ""


@pytest.mark.usefixtures("_soon")
def test_a_bar_leaves_the_lines_of_a_run_whole_and_a_log_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = shown(monkeypatch, 80, "run", "--config", config, *AT)
    assert [text.split(" ")[0] for text in opened.lines if text] == [
        "Collected",
        "Composed",
        *["Delivered"] * 2,
    ]
    opened = shown(monkeypatch, 80, "run", "--config", config, "--log", "json", *AT)
    assert "\r" not in opened.text
    assert all(text.startswith("{") for text in opened.lines if text)


# --- help -------------------------------------------------------------------------------------


def commands(group: click.Group = cli, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Every command and every command of a group, in a context of its own."""
    context = click.Context(group, info_name="digest" if parent is None else group.name, parent=parent)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from commands(command, context)


EVERY = {context.command_path: context for context in commands()}


@pytest.mark.parametrize("path", EVERY)
def test_help_says_what_it_is_for_explains_each_option_and_fits(path: str, run: Run) -> None:
    assert run(*path.split()[1:], "--help") == 0
    assert max(map(len, run.out.splitlines())) <= 80
    assert re.match(r"Usage: digest .*\n(?: .*\n)*\n  [A-Z]", run.out)
    assert "..." not in re.sub(r"\[ARGS\]\.\.\.", "", run.out), "a summary is cut off"
    for parameter in EVERY[path].command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


@pytest.mark.parametrize(
    "example",
    [
        example
        for context in EVERY.values()
        for example in re.findall(r"Example: (digest .*)", context.command.epilog or "")
    ],
)
def test_an_example_is_a_command_that_can_be_given(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context, words = click.Context(cli, info_name="digest"), shlex.split(example)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _prompt: "a password")
    command.make_context("example", words)  # which refuses what the command does not take


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("statsu",), "No such command 'statsu'. Did you mean 'status'?"),
        (("frobnicate",), "No such command 'frobnicate'.\n"),
        (("run", "--dryrun"), "--dry-run"),
        (("--verison",), "--version"),
    ],
)
def test_what_is_mistyped_comes_back_with_what_may_be_meant(
    typed: Sequence[str], says: str, run: Run
) -> None:
    assert run(*typed) == 2
    assert says in run.err


# --- the manual page --------------------------------------------------------------------------


def troff(page: str) -> str:
    """What groff makes of a page, without a warning."""
    done = subprocess.run(
        [needed("groff"), "-man", "-ww", "-Tutf8", "-rLL=200n", "-P-cbou"],
        input=page,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_manual_page_tells_every_command_with_every_option(run: Run) -> None:
    assert run("man") == 0
    page = troff(run.out)
    headings = re.findall(r"^[A-Z].*$", page, re.MULTILINE)
    assert headings[1:] == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES",
        "EXAMPLES", "SEE ALSO",
    ]  # fmt: skip
    for path, context in EVERY.items():
        _, found, part = page.partition(f"   {path} ")
        assert found, path
        part = part.partition("\n   digest ")[0]
        for parameter in context.command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[-1] in part, (path, parameter.opts)


def test_whatever_is_said_stands_in_the_manual_page_as_it_is() -> None:
    samples = [
        ".hidden file",
        "'quoted'",
        r"a\fBold \n word",
        "--dry-run",
        "~/a^b `c`",
        "KEYWORD…",
        'a "b" c',
    ]
    page = troff(".TH X 1\n.SH Y\n" + "\n.br\n".join(map(_text, samples)))
    lines = [text.strip() for text in page.splitlines() if text.startswith(" ")]
    assert [text for text in lines if text != "X(1)"] == samples


# --- completion -------------------------------------------------------------------------------


def completed(monkeypatch: pytest.MonkeyPatch, run: Run, words: str) -> list[str]:
    """What is offered for the last word."""
    monkeypatch.setenv("_DIGEST_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(shlex.split(words)) - (not words.endswith(" "))))
    assert run() == 0
    assert run.err == ""
    return [text.removeprefix("plain,") for text in run.out.split()]


def test_values_come_from_the_configuration_and_the_store(
    config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = config.parent / "profiles" / "ada.toml"
    profile.write_text('name = "ada"\n[[interests]]\nname = "Swin"\nkeywords = ["Swin"]\n')
    mail = '[email]\nfrom = "a@b.example"\npassword = { keyring = "digest-smtp" }\n'
    config.write_text(config.read_text() + mail + '[[webhooks]]\nurl = { keyring = "hook" }\n')
    offered = partial(completed, monkeypatch, run)
    given = f"--config {config}"
    assert offered(f"digest run {given} --profile ") == ["ada", "me"]
    assert offered(f"digest preview {given} m") == ["me"]
    assert offered("digest run --config ") == ["file,"]
    assert offered("digest try --profile ") == []
    monkeypatch.setenv("DIGEST_CONFIG", str(config.parent))
    assert offered("digest terms ") == ["ada", "me"]
    assert offered("digest secret set ") == ["digest-smtp", "hook"]
    assert offered("digest di") == ["dispatch", "dislike"]
    assert offered("digest outbox r") == ["resolve", "resume", "retry"]
    assert offered("digest status --js") == ["--json"]


def test_deliveries_that_are_not_done_with_are_offered_newest_first(
    config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("run", "--config", config, *AT) == 0
    place = config.parent / "data" / "digest.db"
    before = place.read_bytes()
    words = f"digest outbox --config {config} show "
    assert completed(monkeypatch, run, words) == []
    monkeypatch.delenv("_DIGEST_COMPLETE")
    assert run("outbox", "resolve", "1", "--resend", "--config", config) in {0, 1}
    assert place.read_bytes() == before
    store = Store(f"sqlite:///{place}")
    for number in (1, 2):
        store.plan_again(number)
    store.close()
    assert completed(monkeypatch, run, words) == ["2", "1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[",
        "profiles = 3",
        'profiles = "none/*"',
        'database = "postgresql://nobody@127.0.0.1:1/none"',
        "data_dir = 7",
    ],
)
def test_what_is_broken_offers_nothing_and_says_nothing(
    text: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ("digest run --profile ", "digest outbox show ", "digest secret test "):
        assert completed(monkeypatch, run, words) == []  # there is no configuration at all
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "digest.toml").write_text(text)
    for words in ("digest run --profile ", "digest outbox show ", "digest secret test "):
        assert completed(monkeypatch, run, words) == []
    assert not (tmp_path / "home").exists()


def test_a_script_is_made_for_each_shell(run: Run) -> None:
    for shell, mark in (
        ("bash", "complete -o nosort"),
        ("zsh", "#compdef digest"),
        ("fish", "--command digest"),
    ):
        assert run("completion", shell) == 0
        assert mark in run.out
    assert run("completion", "tcsh") == 2


BASH = """
eval "$(digest completion bash)"
COMP_WORDS=(digest run --profile "") COMP_CWORD=3
_digest_completion digest
echo "${COMPREPLY[@]}"
complete -p digest
"""
# zsh's own way of showing what is offered needs a person; what it would be told is enough.
ZSH = """
compdef() { : }
compadd() { echo ${(P)${@[-1]}} }
_describe() { echo ${(P)${@[3]}} }
eval "$(digest completion zsh)"
words=(digest run --profile "") CURRENT=4
_digest_completion
words=(digest sta) CURRENT=2
_digest_completion
"""
FISH = """
digest completion fish | source
complete --do-complete "digest run --profile "
complete --do-complete "digest sta"
"""


@pytest.mark.parametrize(
    ("shell", "script", "says"),
    [
        (("bash", "--norc"), BASH, "me\ncomplete -o nosort -F _digest_completion digest\n"),
        (
            ("zsh", "-f"),
            ZSH,
            "me:Papers for me\nstatus:Last and next runs, sources, deliveries that need you.\n",
        ),
        (
            ("fish", "--no-config"),
            FISH,
            "me\tPapers for me\nstatus\tLast and next runs, sources, deliveries that need you.\n",
        ),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_completes_words(
    shell: Sequence[str], script: str, says: str, config: Path, tmp_path: Path
) -> None:
    program = needed(shell[0])
    (tmp_path / "bin").mkdir()
    digest = tmp_path / "bin" / "digest"
    digest.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m digest "$@"\n')
    digest.chmod(0o755)
    environ = UNMEASURED | {
        "PATH": f"{digest.parent}:{os.environ['PATH']}",
        "DIGEST_CONFIG": str(config),
        "HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [program, *shell[1:], "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (says, "")


# --- how soon ---------------------------------------------------------------------------------

HEAVY = {
    "alembic", "apscheduler", "bibtexparser", "bs4", "feedgen", "feedparser", "httpx", "jinja2", "keyring",
    "numpy", "rich", "smtplib", "starlette", "uvicorn",
}  # fmt: skip
HEAVIEST = HEAVY | {"lxml", "pydantic", "sqlalchemy"}
LOOK = """
import sys
from digest.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded(*arguments: object, **environ: str) -> set[str]:
    """The packages that a command has loaded in the end."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *map(str, arguments)],
        env=UNMEASURED | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def _read_once(config: Path) -> None:
    """All that there is was read and sent."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "--config", str(config), *AT])
    assert ended.value.code == 0


@pytest.mark.usefixtures("_read_once")
@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (("--help",), HEAVIEST),
        (("--version",), HEAVIEST),
        (("run", "--help"), HEAVIEST),
        (("status", "--help"), HEAVIEST),
        (("status", "--config", "digest.toml"), HEAVY | {"lxml"}),
        (("run", "--config", "digest.toml"), HEAVY),
        (("outbox", "--config", "digest.toml"), HEAVY | {"lxml"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_loads_nothing_that_it_does_not_need(arguments: Sequence[str], unneeded: set[str]) -> None:
    assert loaded(*arguments) & unneeded == set()


@pytest.mark.usefixtures("_read_once")
@pytest.mark.parametrize(
    "words", ["digest ", "digest run --profile ", "digest outbox show ", "digest status --"]
)
def test_a_word_is_completed_without_loading_what_commands_need(words: str, config: Path) -> None:
    environ = {
        "_DIGEST_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "DIGEST_CONFIG": str(config),
    }
    assert loaded(**environ) & HEAVIEST == set()
