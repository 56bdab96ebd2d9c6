"""A terminal in pictures: what somebody types on a first day, and what is shown, in its colours."""

from __future__ import annotations

import re
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import trustme
from manuals import ROOT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from shell import COLUMNS, Step, Terminal
from smtp_server import recording_server
from test_manual import Place

HOME = "/home/ada"
_LOGIN = ("ada@example.org", "a pass word")
_ANSWERS = {
    "Topics": "talking face or lip sync but not facebook, Swin",
    "E-mail": "Ada <ada@example.org>",
    "Mail server": "127.0.0.1:2465",
    "Encryption": "tls",
    "Sources": "papers/",
    "Password": _LOGIN[1],
}
_LIGHT = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        *((31, 35, 40), (180, 35, 24), (17, 99, 41), (125, 78, 0)),
        *((9, 80, 160), (130, 60, 160), (27, 124, 131), (87, 96, 106)),
    ],
)
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #fff }}
pre {{ margin: 0; padding: 18px 24px; border: 1px solid #d0d7de; border-radius: 8px; box-sizing: border-box;
       width: 800px; font: 15px/1.4 "DejaVu Sans Mono", monospace; color: #1f2328 }}
</style><pre>{}</pre>"""
_STEERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")  # everything but styles


def pages() -> dict[str, str]:
    """Pages to take pictures of, by their names."""
    with _terminal() as terminal:
        _typed(terminal, "digest init")
        shown = {
            "check": _typed(terminal, "digest check --online"),
            "run": _typed(terminal, "digest run") + _typed(terminal, "digest status"),
        }
    with _terminal(is_furnished=True) as terminal:
        shown["try"] = _typed(terminal, 'digest try Swin "talking face" swim')
    return {name: _page(raw) for name, raw in shown.items()}


@contextmanager
def _terminal(*, is_furnished: bool = False) -> Iterator[Terminal]:
    """Ada's window, with the page of the demo in a folder, or with the month of papers of the manual."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    # As long as Ada's, because lines are broken by what they hold.
    home = Path(tempfile.gettempdir(), "adas")
    with recording_server(tls=tls, login=_LOGIN) as server:
        place = Place(home, server.port)
        try:
            place.furnish()
            if is_furnished:
                place.configure(["me"])
            (home / "papers").mkdir()
            shutil.copy(ROOT / "config/demo/daily-papers.html", home / "papers")
            authority.cert_pem.write_to_path(str(home / "ca.pem"))
            environ = {name: value for name, value in place.environ.items() if name != "NO_COLOR"}
            environ |= {
                "TERM": "xterm-256color",
                "TZ": "Europe/Berlin",
                "SSL_CERT_FILE": str(home / "ca.pem"),
            }
            answers = {**_ANSWERS, "Mail server": f"127.0.0.1:{server.port}"}
            with Terminal(place.checkout if is_furnished else home, environ, answers) as terminal:
                terminal.addresses |= {HOME: str(home), "127.0.0.1:2465": f"127.0.0.1:{server.port}"}
                yield terminal
        finally:
            shutil.rmtree(home)


def _typed(terminal: Terminal, command: str) -> str:
    """A command and what it shows, with its styles."""
    terminal.raw = ""
    code, said = terminal.run(Step(command, ()))
    assert not code, said
    raw = terminal.raw
    for shown, real in terminal.addresses.items():
        raw = raw.replace(real, shown)
    lines = (line.rpartition("\r")[2] for line in _STEERS.sub("", raw.replace("\r\n", "\n")).split("\n"))
    return f"\x1b[1m$ {command}\x1b[0m\n" + "\n".join(lines).rstrip() + "\n\n"


def _page(raw: str) -> str:
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(raw.rstrip()), soft_wrap=True)
    return _PAGE.format(console.export_html(theme=_LIGHT, code_format="{code}", inline_styles=True))
