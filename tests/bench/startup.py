"""What it costs to start, before anything is done.

    python tests/bench/startup.py --rounds 15

Each round runs every command once, one after another, so that whatever else the machine does meets all of
them alike. Figures are CPU, of the user and of the system, of the whole process (getrusage(2) of children),
the median of all rounds, and the ratio to the first row. The limits are those of the design: `--help` within
1.6 of `import click`, a run with nothing new below half a second on the machine it was set on.

    unchanged    `digest run` of a page that the site answers with 304, once it was read
    a folder     `digest run` of a folder of saved pages that were read, for one profile that is not due
    a word       what a shell asks when a word is completed
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from world import SWIN_PAGE, configure

_SCHEDULE = '[schedule]\nat = ["07:00"]\n'
_FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Invented</title><item><title>A Swin</title>
<link>https://papers.example/1</link><description>It folds.</description></item></channel></rss>"""


class _Unchanged(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.headers.get("If-None-Match") == '"one"'
        self.send_response(304 if is_known else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", "0" if is_known else str(len(_FEED)))
        self.end_headers()
        if not is_known:
            self.wfile.write(_FEED.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def cpu(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Milliseconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Unchanged)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        configs = {}
        for name in ("folder", "unchanged"):
            (place := Path(folder) / name).mkdir()
            configs[name] = configure(place, extra=_SCHEDULE if name == "folder" else "")
        (Path(folder) / "folder" / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        text = configs["unchanged"].read_text(encoding="utf-8")
        feed = f'kind = "feed"\nurl = "http://127.0.0.1:{server.server_port}/"'
        text = text.replace('kind = "file"\npaths = ["inbox/"]', feed)
        configs["unchanged"].write_text(text, encoding="utf-8")
        plain = dict(os.environ)
        python, digest = [sys.executable, "-c"], [sys.executable, "-m", "digest"]
        asked = {"_DIGEST_COMPLETE": "bash_complete", "COMP_WORDS": "digest preview ", "COMP_CWORD": "2"}
        asked["DIGEST_CONFIG"] = str(configs["folder"])
        commands: dict[str, tuple[list[str], Mapping[str, str]]] = {
            "import click": ([*python, "import click"], plain),
            "digest --help": ([*digest, "--help"], plain),
            "digest run --help": ([*digest, "run", "--help"], plain),
            "a word": (digest, plain | asked),
            "digest status": ([*digest, "status", "--config", str(configs["folder"])], plain),
            "digest run, a folder": ([*digest, "run", "--config", str(configs["folder"])], plain),
            "digest run, unchanged": ([*digest, "run", "--config", str(configs["unchanged"])], plain),
        }
        for command, environ in commands.values():  # what is read and compiled once
            cpu(command, environ)
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, (command, environ) in commands.items():
                taken[name].append(cpu(command, environ))
    first = statistics.median(taken["import click"])
    print(f"{'':24} {'CPU ms':>7} {'ratio':>6}")  # noqa: T201
    for name, all_taken in taken.items():
        middle = statistics.median(all_taken)
        print(f"{name:24} {middle:7.0f} {middle / first:6.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
