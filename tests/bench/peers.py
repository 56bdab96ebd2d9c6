"""What digest costs beside other programs that do a part of the same, each as a whole process.

    pip install -e '.[bench]'
    python tests/bench/peers.py --runs 7 [--instructions] [--write README.md]

One feed of 430 invented entries is served by a process of its own, and mail is taken by another one. All
read that feed and must find the same entries, which is seen first:

    digest            `digest run`: feed, store, filter, mail by SMTP, Atom and RSS
    r2e digest        rss2email 3.14, one mail of what a filter of its own lets through
    r2e per entry     the same, a mail for each of them
    reader            reader 3.26: update, its search index, and a search; it sends nothing
    feedgen           feedparser, a regular expression, and Atom and RSS as its manual makes them; no store
    premailer         feedparser, a regular expression, Jinja2, premailer, EmailMessage, SMTP; no store
    re, FTS5          feedparser, then a regular expression, or SQLite's full-text search; nothing is made

`idle` is the same again when the feed has not changed (304), `help` is `--help`, and the last row is a beat
of `digest schedule` when nothing is due.

They take turns. A figure is the median over the turns of the CPU of a process with its children, and of the
peak of its memory; a ratio is the median of the ratios within a turn. `--write` puts the table between the
marks of a file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

from digest import config
from digest.app import App, now
from digest.cli.schedule import Heart
from digest.orders import Orders

FILTER = r"(?i)\b(swin|talking faces?)\b"
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
_MARKS = "<!-- measured: python tests/bench/peers.py --write README.md -->\n", "<!-- end -->\n"
_BIN = Path(sys.executable).parent


# --- what is read, and who takes the mail ------------------------------------------------------


def feed(entries: int) -> bytes:
    """An RSS feed of invented papers, one in fourteen of which is wanted."""
    rng = random.Random(7)  # noqa: S311 - the same papers each time
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(5000)]
    begun = now() - timedelta(hours=2)

    def text(length: int) -> str:
        return " ".join(rng.choices(words, k=length))

    items = []
    for number in range(entries):
        said = {0: "Swin", 14: "talking faces"}.get(number % 28, text(1))
        items.append(
            f"<item><title>Paper {number}: {text(7).title()}</title>"
            f"<link>https://papers.example.org/{number}</link>"
            f"<guid isPermaLink='false'>papers-{number}</guid>"
            f"<pubDate>{format_datetime(begun - timedelta(seconds=number))}</pubDate>"
            f"<description>{text(90).capitalize()} {said} {text(90)}.</description></item>"
        )
    return (
        "<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel><title>Papers</title>"
        "<link>https://papers.example.org/</link><description>New ones</description>"
        f"{''.join(items)}</channel></rss>"
    ).encode()


def serve(path: str) -> None:
    """Answer with a file until the process is ended, and with 304 to whoever has it."""
    body = Path(path).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # as the base class calls it
            if self.headers.get("If-None-Match") == '"one"':
                self.send_response(304)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"one"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)  # noqa: T201
        server.serve_forever()


def take(folder: str) -> None:
    """Take every mail into a folder until the process is ended."""

    def keep(message: bytes) -> None:
        Path(folder, f"{time.monotonic_ns()}.eml").write_bytes(message)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                message = await reader.readuntil(b"\r\n.\r\n")
                keep(message[:-3].replace(b"\n..", b"\n."))
                writer.write(b"250 taken\r\n")
            else:
                said = {b"EHLO": b"250-here\r\n250 8BITMIME", b"QUIT": b"221 bye"}.get(verb, b"250 ok")
                writer.write(said + b"\r\n")
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 26)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def beside(what: str, argument: Path) -> Iterator[int]:
    """One of these as a process of its own; gives its port."""
    with subprocess.Popen([sys.executable, __file__, what, argument], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


# --- who takes part ----------------------------------------------------------------------------

_SCRIPT = """
import re, sys, urllib.request
from pathlib import Path
import feedparser
url, home, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
entries = feedparser.parse(urllib.request.urlopen(url).read()).entries
wanted = re.compile(PATTERN)
found = [one for one in entries if wanted.search(one.title + " " + one.summary)]
"""

_SCRIPTS = {
    "feedgen": """
from feedgen.feed import FeedGenerator
made = FeedGenerator()
made.id("https://me.example.org/"); made.title("Papers"); made.description("New ones")
made.link(href="https://me.example.org/")
for one in found:
    entry = made.add_entry()
    entry.id(one.id); entry.title(one.title); entry.link(href=one.link)
    entry.published(one.published); entry.updated(one.published); entry.description(one.summary)
made.atom_file(home / "atom.xml", pretty=True); made.rss_file(home / "rss.xml", pretty=True)
""",
    "premailer": """
import smtplib
from email.message import EmailMessage
from jinja2 import Environment
from premailer import transform
page = Environment(autoescape=True).from_string('''<html><head><style>
body {font: 16px/1.5 sans-serif; margin: 0 auto; max-width: 600px} h2 {font-size: 20px} a {color: #0645ad}
.card {border-bottom: 1px solid #ddd; padding: 16px 0} .meta {color: #666; font-size: 14px}
</style></head><body><h1>{{ found|length }} papers</h1>{% for one in found %}<div class="card">
<h2><a href="{{ one.link }}">{{ one.title }}</a></h2><p class="meta">{{ one.published }}</p>
<p>{{ one.summary }}</p></div>{% endfor %}</body></html>''')
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "d@example.org", "me@example.org", "Papers"
message.set_content("\\n\\n".join(f"{one.title}\\n{one.link}\\n{one.summary}" for one in found))
message.add_alternative(transform(page.render(found=found)), subtype="html")
with smtplib.SMTP("127.0.0.1", port) as server:
    server.send_message(message)
""",
    "re": "(home / 'found').write_text('\\n'.join(one.title for one in found))",
    "FTS5": """
import sqlite3
database = sqlite3.connect(home / "store.db")
database.execute("CREATE VIRTUAL TABLE IF NOT EXISTS papers USING fts5(title, summary)")
database.executemany("INSERT INTO papers VALUES (?, ?)", ((one.title, one.summary) for one in entries))
database.commit()
query = 'swin OR "talking face" OR "talking faces"'
found = [title for title, in database.execute("SELECT title FROM papers WHERE papers MATCH ?", (query,))]
(home / "found").write_text("\\n".join(found))
""",
    "reader": """
from reader import make_reader
reader = make_reader(str(home / "reader.db"), feed_root="")
reader.add_feed(url, exist_ok=True)
reader.update_feeds()
reader.enable_search()
reader.update_search()
query = 'swin OR "talking face" OR "talking faces"'
found = [reader.get_entry(one).title for one in reader.search_entries(query)]
(home / "found").write_text("\\n".join(found))
""",
}

_HOOK = """
import re
WANTED = re.compile(PATTERN)
def only(feed, parsed, entry, guid, message):
    return message if WANTED.search(entry.title + " " + entry.summary) else None
"""

_DIGEST = """timezone = "UTC"
data_dir = "data"
output_dir = "public"
[[sources]]
kind = "feed"
name = "papers"
url = "{url}"
allow_private = true
[email]
from = "d@example.org"
host = "127.0.0.1"
port = {port}
security = "none"
[feeds]
formats = ["rss", "atom"]
"""

_PROFILE = """name = "me"
title = "Papers"
recipients = ["me@example.org"]
channels = ["email", "feeds"]
max_papers = 100
related = 0
second_look = 0
[[interests]]
name = "Swin"
keywords = ["Swin", "talking face"]
"""


@dataclass(frozen=True)
class Way:
    """A program, set up in a home of its own."""

    home: Path
    command: Sequence[str | Path]
    environ: dict[str, str]
    found: Callable[[], str]  # everything that it made, in which the titles stand

    def run(self) -> Cost:
        """Run it once."""
        return cost(self.command, self.environ)

    def counted(self) -> int:
        """The instructions of a run."""
        return instructions(self.command, self.environ)


@dataclass(frozen=True)
class Cost:
    """What a process and its children took."""

    cpu: float  # seconds
    memory: int  # bytes


# A process has the peak of what started it, which so had better be small (setmax_mm_hiwater_rss in Linux).
_LAUNCHER = """
import json, os, sys
null = os.open(os.devnull, os.O_RDWR)
said = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
files = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=files)
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""


def cost(command: Sequence[str | Path], environ: dict[str, str]) -> Cost:
    """Run a command to its end, which must be a good one."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, said, *command]
        done = subprocess.run(launcher, env=environ, capture_output=True, text=True, check=True)
        code, cpu, memory = json.loads(done.stdout)
        if code:
            sys.exit(f"{' '.join(map(str, command))} ended with {code}:\n{said.read_text(errors='replace')}")
    return Cost(cpu, memory * 1024)


def instructions(command: Sequence[str | Path], environ: dict[str, str]) -> int:
    """How many instructions a command takes, its children included, as callgrind counts them."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = [
            "valgrind",
            "--tool=callgrind",
            "--trace-children=yes",
            f"--callgrind-out-file={folder}/%p",
        ]
        subprocess.run([*valgrind, *command], env=environ, capture_output=True, check=True)
        totals = (
            re.search(r"(?m)^(?:totals|summary): (\d+)", path.read_text()) for path in Path(folder).iterdir()
        )
        return sum(int(found[1]) for found in totals if found)


def at_home(home: Path) -> dict[str, str]:
    """An environment that leads nowhere else."""
    home.mkdir(parents=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONPATH": str(home)}


def mails(folder: Path) -> str:
    """The text of all mails that were taken."""
    return "\n".join(
        f"{part['Subject']}\n{part.get_content()}"
        for path in sorted(folder.iterdir())
        for part in message_from_bytes(path.read_bytes(), policy=default).walk()
        if part.get_content_maintype() == "text"
    )


def by_digest(home: Path, url: str, port: int, taken: Path) -> Way:
    """Our own way."""
    environ = at_home(home)
    (home / "profiles").mkdir()
    config = home / "digest.toml"
    config.write_text('profiles = "profiles/*.toml"\n' + _DIGEST.format(url=url, port=port), encoding="utf-8")
    (home / "profiles" / "me.toml").write_text(_PROFILE, encoding="utf-8")
    return Way(home, [_BIN / "digest", "run", "--config", config], environ, lambda: mails(taken))


def by_r2e(home: Path, url: str, port: int, taken: Path, *, digest: bool) -> Way:
    """rss2email, with a filter of its own."""
    environ = at_home(home)
    (home / "wanted.py").write_text(_HOOK.replace("PATTERN", repr(FILTER)), encoding="utf-8")
    r2e: list[str | Path] = [_BIN / "r2e", "-c", home / "r2e.cfg", "-d", home / "r2e.json"]
    cost([*r2e, "new", "me@example.org"], environ)
    cost([*r2e, "add", "papers", url], environ)
    text = (home / "r2e.cfg").read_text(encoding="utf-8")
    for name, value in {
        "email-protocol": "smtp",
        "smtp-server": "127.0.0.1",
        "smtp-port": str(port),
        "digest": str(digest),
        "post-process": "wanted only",
    }.items():
        text, changed = re.subn(rf"(?m)^{name} =.*$", f"{name} = {value}", text)
        assert changed, name
    (home / "r2e.cfg").write_text(text, encoding="utf-8")
    return Way(home, [*r2e, "run"], environ, lambda: mails(taken))


def by_script(home: Path, url: str, port: int, taken: Path, *, name: str) -> Way:
    """A script of somebody's own, as its manual suggests."""
    environ = at_home(home)
    script = home / "script.py"
    head = (
        _SCRIPT
        if name != "reader"
        else "\n".join(_SCRIPT.splitlines()[:5]).replace("import feedparser\n", "")
    )
    script.write_text(head.replace("PATTERN", repr(FILTER)) + "\n" + _SCRIPTS[name], encoding="utf-8")

    def found() -> str:
        made = [path for path in home.iterdir() if path.name in {"atom.xml", "found"}]
        return "\n".join(path.read_text(encoding="utf-8") for path in made) or mails(taken)

    return Way(home, [sys.executable, script, url, home, str(port)], environ, found)


WAYS: dict[str, tuple[str, Callable[[Path, str, int, Path], Way]]] = {
    "digest": ("digest", by_digest),
    "r2e digest": ("rss2email", lambda *where: by_r2e(*where, digest=True)),
    "r2e per entry": ("rss2email", lambda *where: by_r2e(*where, digest=False)),
    "reader": ("reader", lambda *where: by_script(*where, name="reader")),
    "feedgen": ("feedgen", lambda *where: by_script(*where, name="feedgen")),
    "premailer": ("premailer", lambda *where: by_script(*where, name="premailer")),
    "re": ("feedparser", lambda *where: by_script(*where, name="re")),
    "FTS5": ("feedparser", lambda *where: by_script(*where, name="FTS5")),
}
IDLE = ("digest", "r2e digest", "reader")


# --- side by side ------------------------------------------------------------------------------


def numbers(text: str) -> set[str]:
    """The numbers of the papers whose titles stand in a text, however its lines are broken."""
    return set(re.findall(r"Paper\s+(\d+):", text))


def compared(runs: int, entries: int) -> dict[str, dict[str, list[Cost]]]:
    """The costs of all ways, turn by turn, for each kind of run."""
    body = feed(entries)
    expected = {str(n) for n in range(entries) if n % 28 in {0, 14}}
    there = {name: make for name, (module, make) in WAYS.items() if find_spec(module)}
    for name in WAYS.keys() - there.keys():
        print(f"{name} is not installed: pip install -e '.[bench]'", file=sys.stderr)  # noqa: T201
    costs: dict[str, dict[str, list[Cost]]] = {"run": {}, "idle": {}, "help": {}}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (Path(folder) / "feed.xml").write_bytes(body)
        feed_port = stack.enter_context(beside("serve", Path(folder) / "feed.xml"))
        for turn in range(-1, runs):  # the first one compiles and warms up
            order = list(there) if turn % 2 else list(there)[::-1]
            for name in order:
                taken = Path(folder, f"taken-{turn}-{name}")
                taken.mkdir()
                with beside("take", taken) as port:
                    where = Path(folder, f"home-{turn}-{name}")
                    way = there[name](where, f"http://127.0.0.1:{feed_port}/feed.xml", port, taken)
                    ran = way.run()
                    assert numbers(way.found()) == expected, f"{name} has {sorted(numbers(way.found()))}"
                    idle = way.run() if name in IDLE else None
                if turn < 0:
                    continue
                costs["run"].setdefault(name, []).append(ran)
                if idle is not None:
                    costs["idle"].setdefault(name, []).append(idle)
            helps: dict[str, list[str | Path]] = {
                "digest": [_BIN / "digest", "--help"],
                "r2e digest": [_BIN / "r2e", "--help"],
                "import click": [sys.executable, "-c", "import click"],
            }
            for name, command in helps.items():
                if Path(command[0]).exists():
                    one = cost(command, dict(os.environ))
                    if turn >= 0:
                        costs["help"].setdefault(name, []).append(one)
    return costs


def counted(entries: int) -> str:
    """The instructions of one run of each, as a table."""
    lines = ["| | instructions, 10⁹ | digest ÷ this |", "| --- | ---: | ---: |"]
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (Path(folder) / "feed.xml").write_bytes(feed(entries))
        feed_port = stack.enter_context(beside("serve", Path(folder) / "feed.xml"))
        for name, (module, make) in WAYS.items():
            if find_spec(module):
                taken = Path(folder, f"taken-{name}")
                taken.mkdir()
                with beside("take", taken) as port:
                    way = make(Path(folder, name), f"http://127.0.0.1:{feed_port}/feed.xml", port, taken)
                    found[name] = way.counted()
                ratio = f"{found['digest'] / found[name]:.2f}" if name != "digest" else ""
                lines.append(f"| run: {name} | {found[name] / 1e9:.2f} | {ratio} |")
    return "\n".join(lines) + "\n"


def ticks(count: int = 200) -> float:
    """Milliseconds of CPU of a beat of the daemon when nothing is due."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "profiles").mkdir()
        (home / "inbox").mkdir()
        (home / "digest.toml").write_text(
            'profiles = "profiles/*.toml"\ndata_dir = "data"\noutput_dir = "public"\n'
            '[schedule]\nat = ["07:00"]\n[[sources]]\nkind = "file"\npaths = ["inbox/"]\n',
            encoding="utf-8",
        )
        alone = re.sub('(?m)^recipients.*$|"email", ', "", _PROFILE)
        (home / "profiles" / "me.toml").write_text(alone, encoding="utf-8")
        with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing):
            heart = Heart(App(config.load(home / "digest.toml"), {}), Orders(), lambda _app: None)
            heart.tick()  # composes what is due
            begun = time.process_time()
            for _ in range(count):
                heart.tick()
            return (time.process_time() - begun) / count * 1000


# --- what is told ------------------------------------------------------------------------------


def table(costs: dict[str, dict[str, list[Cost]]], tick: float) -> str:
    """The figures as a table in Markdown."""
    lines = [
        "| | CPU, s | digest ÷ this | memory, MB | digest ÷ this |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, ways in costs.items():
        for name, taken in ways.items():
            ours = ways["digest"]
            cpu = statistics.median(one.cpu for one in taken)
            memory = statistics.median(one.memory for one in taken) / 1e6
            shares = (
                ("", "")
                if name == "digest"
                else (
                    f"{statistics.median(a.cpu / b.cpu for a, b in zip(ours, taken, strict=True)):.2f}",
                    f"{statistics.median(a.memory / b.memory for a, b in zip(ours, taken, strict=True)):.2f}",
                )
            )
            lines.append(f"| {kind}: {name} | {cpu:.2f} | {shares[0]} | {memory:.0f} | {shares[1]} |")
    lines.append(f"| a beat of `digest schedule` with nothing due | {tick / 1000:.4f} | | | |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """The processor, and what runs on it."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
            break
    return f"{model}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"


def write(path: Path, text: str) -> None:
    """Put the table between the marks of a file."""
    page = path.read_text(encoding="utf-8")
    head, begin, rest = page.partition(_MARKS[0])
    _, end, tail = rest.partition(_MARKS[1])
    if not (begin and end):
        sys.exit(f"{path} has no lines {_MARKS[0]!r} and {_MARKS[1]!r}")
    path.write_text(f"{head}{begin}{text}{end}{tail}", encoding="utf-8")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--entries", type=int, default=430)
    parser.add_argument("--json", type=Path, help="keep every figure there")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this file")
    parser.add_argument("--instructions", action="store_true", help="count them by callgrind instead, once")
    options = parser.parse_args()
    if options.instructions:
        print(counted(options.entries))  # noqa: T201
        return
    costs = compared(options.runs, options.entries)
    text = f"{machine()}; {now():%Y-%m-%d}; medians of {options.runs} runs.\n\n{table(costs, ticks())}"
    print(text)  # noqa: T201
    if options.json:
        plain = {
            kind: {name: [[one.cpu, one.memory] for one in taken] for name, taken in ways.items()}
            for kind, ways in costs.items()
        }
        options.json.write_text(json.dumps(plain), encoding="utf-8")
    if options.write:
        write(options.write, text)


if __name__ == "__main__":
    if sys.argv[1:2] in (["serve"], ["take"]):
        {"serve": serve, "take": take}[sys.argv[1]](sys.argv[2])
    else:
        main()
