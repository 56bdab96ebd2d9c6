"""Every kind of source at once, through a proxy, against sites with the faults that sites have."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import SplitResult, parse_qs

import pytest
from internet import DIRECT, Answer, Site, internet
from world import configure

from digest import plugins

DATA = Path(__file__).resolve().parent / "data"
CONFIG = """
[network]
proxy = "{proxy}"
no_proxy = ["127.0.0.1"]
ca_file = "ca.pem"
timeout = 3
[[sources]]
kind = "huggingface"
[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
[[sources]]
kind = "biorxiv"
[[sources]]
kind = "medrxiv"
[[sources]]
kind = "openreview"
venues = ["Teapots.example/2026/Conference"]
[[sources]]
kind = "semantic_scholar"
query = "spoons"
key = {{ env = "DIGEST_TEST_KEY" }}
[[sources]]
kind = "openalex"
query = "moss"
[[sources]]
kind = "crossref"
query = "ledger"
[[sources]]
kind = "pubmed"
query = "ferns"
[[sources]]
kind = "europepmc"
query = "ferns"
[[sources]]
kind = "feed"
name = "journal"
url = "https://journal.example.org/rss"
[[sources]]
kind = "feed"
name = "weekend"
url = "https://weekend.example.org/rss"
[[sources]]
kind = "feed"
name = "torn"
url = "https://torn.example.org/rss"
[[sources]]
kind = "feed"
name = "wall"
url = "https://wall.example.org/rss"
[[sources]]
kind = "feed"
name = "intranet"
url = "{proxy}/rss"
"""
ESEARCH = {"esearchresult": {"count": "3", "webenv": "MCID_1", "querykey": "1", "idlist": []}}
NO_PAPERS = (
    '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
    "<opensearch:totalResults>0</opensearch:totalResults><opensearch:startIndex>0</opensearch:startIndex>"
    "<title>arXiv Query</title></feed>"
)
WEEKEND = (
    '<rss version="2.0"><channel><title>Nothing on Sundays</title><link>https://weekend.example.org/</link>'
    "<description>.</description></channel></rss>"
)


def sample(name: str) -> Answer:
    return Answer((DATA / name).read_bytes())


def text(content: str) -> Answer:
    return Answer(content.encode())


def asked(url: SplitResult, name: str) -> str:
    return parse_qs(url.query).get(name, [""])[0]


def good() -> dict[str, Site]:
    """The sites on a good day."""
    versions = sample("biorxiv/versions.json")
    return {
        "huggingface.co": lambda url: (
            text("[]") if asked(url, "p") != "0" else sample("huggingface/api.json")
        ),
        "arxiv.org": lambda _: sample("arxiv/listing-new.html"),
        "export.arxiv.org": lambda _: text(NO_PAPERS),
        "api.biorxiv.org": lambda url: sample("biorxiv/medrxiv.json") if "medrxiv" in url.path else versions,
        "api2.openreview.net": lambda url: (
            text('{"notes": [], "count": 4}')
            if asked(url, "offset") != "0"
            else sample("openreview/submissions.json")
        ),
        "api.semanticscholar.org": lambda url: (
            text('{"total": 3, "data": []}') if asked(url, "token") else sample("semantic_scholar/bulk.json")
        ),
        "api.openalex.org": lambda _: sample("openalex/works.json"),
        "api.crossref.org": lambda _: sample("crossref/works.json"),
        "eutils.ncbi.nlm.nih.gov": lambda url: (
            text(json.dumps(ESEARCH)) if "esearch" in url.path else sample("pubmed/efetch.xml")
        ),
        "www.ebi.ac.uk": lambda url: (
            sample("europepmc/search.json")
            if asked(url, "cursorMark") == "*"
            else text('{"hitCount": 4, "resultList": {"result": []}}')
        ),
        "journal.example.org": lambda _: sample("feed/rss20.xml"),
        "weekend.example.org": lambda _: text(WEEKEND),
        "torn.example.org": lambda _: sample("feed/sciencedirect.xml"),
        "wall.example.org": lambda _: sample("feed/rss091.xml"),
        DIRECT: lambda _: sample("feed/rss10.xml"),
    }


def first(fault: Answer, then: Site) -> Site:
    """A site with a fault that is gone at the second request."""
    faults = [fault]
    return lambda url: faults.pop() if faults else then(url)


def bad() -> dict[str, Site]:
    """The same sites on a bad day."""
    sites = good()
    torn = sample("feed/sciencedirect.xml").body
    bomb = gzip.compress(bytes(400_000_000), compresslevel=1)
    faults: Mapping[str, Callable[[Site], Site]] = {
        "arxiv.org": lambda site: first(Answer(status=429, headers={"Retry-After": "1"}), site),
        "api.biorxiv.org": lambda site: first(Answer(status=503), site),
        "api2.openreview.net": lambda _: lambda _: text('{"notes": [{"id": "aB3_inv'),
        "api.openalex.org": lambda _: (
            lambda _: Answer(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
        ),
        "eutils.ncbi.nlm.nih.gov": lambda site: (
            lambda url: replace(site(url), drip=0.0 if "esearch" in url.path else 0.05)
        ),
        "www.ebi.ac.uk": lambda _: lambda _: Answer(bomb, headers={"Content-Encoding": "gzip"}),
        "torn.example.org": lambda _: lambda _: Answer(torn[: len(torn) * 2 // 3]),
        "wall.example.org": lambda _: (
            lambda _: text(
                "<!DOCTYPE html><html><title>Log in</title><form><input type='password'></form></html>"
            )
        ),
        DIRECT: lambda _: lambda _: Answer(status=301, headers={"Location": "http://127.0.0.2:9/rss"}),
    }
    return {host: faults[host](site) if host in faults else site for host, site in sites.items()}


SCRIPT = """
import sys
from pathlib import Path
from digest.cli import main
try:
    main(sys.argv[1:])
finally:
    print(Path("/proc/self/status").read_text(), file=sys.stderr)
"""


def collect(config: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "collect", "--config", config, "--at", "2026-11-17T12:00Z"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"DIGEST_TEST_KEY": "hunter2"},
    )
    return done.returncode, done.stdout, done.stderr


FAULTS = {
    "openreview": "the JSON is broken or cut short",
    "openalex": "http://169.254.169.254/latest/meta-data: a page led to an address in a private network",
    "pubmed": "the page was not complete after 3 seconds",
    "europepmc": "it has more than 20,971,520 bytes",
    "wall": "asks to log in or to prove that one is human",
    "intranet": "http://127.0.0.2:9/rss: a page led to an address in a private network",
}


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is looked up in /proc")
def test_all_kinds_at_once_on_a_bad_day_and_the_day_after(tmp_path: Path) -> None:
    with internet(tmp_path, bad()) as world:
        config = configure(tmp_path, extra=CONFIG.format(proxy=world.proxy))
        kinds = set(re.findall(r'kind = "(\w+)"', config.read_text(encoding="utf-8")))
        assert kinds == set(plugins.names("sources"))

        code, out, err = collect(config)
        assert code == 1
        failed = dict(re.findall(r"^Failed +(\w+): (.*)$", err, re.MULTILINE))
        assert failed.keys() == FAULTS.keys()
        for name, words in FAULTS.items():
            assert words in failed[name]
        assert re.search(r"torn: 1 paper listed, \d new, incomplete$", out, re.MULTILINE)
        assert "torn: the feed is cut short" in err
        # What 429 and 503 delayed, and the feed that is empty at weekends, are all there.
        for name in ("huggingface", "arxiv", "biorxiv", "medrxiv", "semantic_scholar", "crossref", "journal"):
            assert re.search(rf"{name}: [1-9]\d* papers? listed, [1-9]\d* new$", out, re.MULTILINE)
        assert "weekend: 0 papers listed, 0 new" in out
        kept = failed["wall"].partition("The page is kept in data_dir/")[2]
        assert b"Log in" in (tmp_path / "data" / kept).read_bytes()
        assert "hunter2" not in out + err
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", err, re.MULTILINE)
        assert peak is not None
        assert int(peak[1]) < 200_000  # the bomb alone would be 400 MB
        waits = [after - before for before, after in pairwise(world.times("arxiv.org"))]
        assert len(waits) >= 2
        assert min(waits) > 1  # three seconds, less what a busy machine takes to see the one before

        world.sites = good()
        code, out, err = collect(config)
        assert code == 0, out + err
        for name in ("openalex", "pubmed", "europepmc", "wall", "torn", "intranet"):
            assert re.search(rf"{name}: [1-9]\d* papers? listed, [1-9]\d* new$", out, re.MULTILINE)
        for name in ("huggingface", "arxiv", "biorxiv", "crossref", "journal"):
            assert f"{name}: " in out
            assert not re.search(rf"{name}: .* [1-9]\d* new", out)

        code, out, err = collect(config)
        assert code == 0
        assert not re.search(r" [1-9]\d* new", out)
