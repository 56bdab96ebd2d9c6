"""A person at a terminal: commands typed one after another, questions answered, and what is shown then.

What is shown may be compared with what a manual says is shown: "…" stands for anything within its line,
or on a line of its own for any number of lines, any date stands for every date, and a line may be broken
between words.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

COLUMNS, ROWS = 80, 24
LEFT_OUT = "…"

_PATIENCE = 120  # seconds
_QUESTIONS = 30  # more than any command has
_QUIET = 0.15  # seconds without a sign after what looks like a question
_STAYS = re.compile(r"\S*digest (?:serve|schedule)\b")
_CHANGES = re.compile(r"(?:cd|export PATH=.*)\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PORT = re.compile(r"\bServing +http://127\.0\.0\.1:(\d+)/")
_USUAL_PORT = "8470"


class Step(NamedTuple):
    """A command, and the lines that are shown then."""

    command: str
    shown: tuple[str, ...]


def steps(text: str) -> list[Step]:
    """The commands of a console session: each begins with a dollar; a backslash continues it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [Step(command, tuple(shown)) for command, shown in found]


def agrees(expected: Sequence[str], shown: str) -> bool:
    """Whether that is what is shown; what expects nothing agrees with everything."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == LEFT_OUT else f"{_line(line.rstrip())}[ ]*\n" for line in expected
    )
    return not expected or re.fullmatch(pattern, shown.rstrip("\n") + "\n") is not None


def _line(line: str) -> str:
    parts = (re.escape(_DATE.sub("\0", part)) for part in line.split(LEFT_OUT))
    # Where a line is broken depends on how long a path is, and so on where a test runs.
    return re.sub(r"(?:\\ )+", r"\\s+", ".*?".join(parts)).replace("\0", _DATE.pattern)


@dataclass
class Terminal:
    """A window of 80 columns; leaving the `with` ends what stays, by its number.

    `answers` are given to questions of which a piece is like the key; to the others, what the session shows
    behind the question, or else nothing but the return key. `addresses` are those that a manual names, such
    as `127.0.0.1:8470`, and the real ones.
    """

    folder: Path
    environ: Mapping[str, str]
    answers: Mapping[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    raw: str = ""  # all that was shown, with its colours
    _staying: list[tuple[subprocess.Popen[bytes], int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        codes = []
        for process, window in self._staying:
            process.send_signal(signal.SIGTERM)
            self._shown(process, window, (), lambda _said: False)
            codes.append(process.returncode)
        if error is None:
            assert set(codes) <= {0}, codes

    def run(self, step: Step) -> tuple[int | None, str]:
        """The exit code of a command, None of one that stays, and the lines that it showed."""
        command = self._here(step.command)
        if _CHANGES.match(command):
            self._change(command)
            return 0, ""
        stays = _STAYS.match(command) is not None
        serves = stays and "serve" in command.partition(" #")[0]
        if stays:
            bare, mark, remark = command.partition(" #")
            command = f"exec {bare}{' --port 0' if serves else ''}{mark}{remark}"
        window, inside = os.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        # Without a terminal of its own to ask by, a program asks for passwords by its standard input.
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=dict(self.environ),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        if not stays:
            said = self._shown(process, window, step.shown, lambda _said: False)
            return process.returncode, self._there(said)

        def is_up(said: str) -> bool:
            has_begun = _PORT.search(said) if serves else "\n" in said
            return bool(has_begun) and agrees(step.shown, self._there(said))

        said = self._shown(process, window, step.shown, is_up)
        if process.returncode is not None:  # it should have stayed
            return process.returncode, self._there(said)
        self._staying.append((process, window))
        if found := _PORT.search(said):
            self.addresses.setdefault(f"127.0.0.1:{_USUAL_PORT}", f"127.0.0.1:{found[1]}")
        return None, self._there(said)

    def _change(self, command: str) -> None:
        """What holds for the commands that follow: the folder, and where programs are found."""
        script = f'set -e\n{command}\npwd\necho "$PATH"'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        folder, path = done.stdout.splitlines()
        self.folder, self.environ = Path(folder), {**self.environ, "PATH": path}

    def _here(self, command: str) -> str:
        for shown, real in self.addresses.items():
            command = command.replace(shown, real)
        return command

    def _there(self, said: str) -> str:
        for shown, real in self.addresses.items():
            said = said.replace(real, shown)
        return _PORT.sub(lambda found: found[0].replace(found[1], _USUAL_PORT), said)

    def _shown(
        self,
        process: subprocess.Popen[bytes],
        window: int,
        expected: Sequence[str],
        is_enough: Callable[[str], bool],
    ) -> str:
        """What is shown until that is enough or the program has ended; answers what it asks."""
        content, asked, deadline = b"", [0], time.monotonic() + _PATIENCE
        while not is_enough(said := plain(content.decode(errors="replace"))):
            if time.monotonic() > deadline or len(asked) > _QUESTIONS:
                process.kill()
                process.wait()
                raise AssertionError(f"it does not end:\n{said}")
            ready, _, _ = select.select([window], [], [], _QUIET)
            if ready:
                try:
                    piece = os.read(window, 65536)
                except OSError:  # the program has ended, and nothing else has the other end
                    piece = b""
                if not piece:
                    process.wait(_PATIENCE)
                    os.close(window)
                    break
                content += piece
            elif said.endswith(": ") and len(content) > asked[-1]:
                asked.append(len(content))
                os.write(window, self._answer(said.rpartition("\n")[2], expected).encode() + b"\n")
        self.raw += content.decode(errors="replace")
        return said

    def _answer(self, question: str, expected: Sequence[str]) -> str:
        for pattern, answer in self.answers.items():
            if re.search(pattern, question):
                return answer
        # Of an answer that is nothing but the return key, the line may lack the space behind its colon.
        answers = (line[len(question) :] for line in expected if line.startswith(question.rstrip()))
        return self._here(next(answers, ""))


def plain(shown: str) -> str:
    """What was shown, without colours."""
    return _CONTROL.sub("", shown).replace("\r\n", "\n")
