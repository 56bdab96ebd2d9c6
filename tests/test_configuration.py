"""What README and config/digest.toml tell people to write does what they say."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from world import configure

from digest import app, plugins
from digest.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = b"""<ul>
<li class="preprint"><a href="https://lab.example.org/1">Swin for Ferns</a></li>
<li class="preprint"><a href="https://lab.example.org/2">Counting Moss</a></li>
</ul>"""


class _Lab(BaseHTTPRequestHandler):
    content = PAGE

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with HTTPServer(("127.0.0.1", 0), _Lab) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
    sys.modules.pop("lab", None)


def test_the_source_of_ones_own_in_the_readme_works(
    tmp_path: Path, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### A source of your own")[2]
    code, table = re.findall(r"```(?:python|toml)\n(.*?)```", section, re.DOTALL)[:2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    (tmp_path / "lab.py").write_text(code, encoding="utf-8")
    table = table.replace("https://lab.example.org/preprints", lab)
    config = configure(tmp_path, extra=table)
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "our lab: 2 papers listed, 2 new" in result.output
    monkeypatch.setattr(_Lab, "content", b"<p>We have moved.</p>")
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "our lab: " + lab + ": no preprints are listed. The page is kept in " in result.output
    place = result.output.partition("The page is kept in data_dir/")[2].splitlines()[0]
    kept = tmp_path / "data" / place
    assert kept.read_bytes() == b"<p>We have moved.</p>"
    kept.unlink()
    result = CliRunner().invoke(cli, ["run", "--dry-run", "--config", str(config)])
    assert "no preprints are listed" in result.output
    assert "is kept" not in result.output
    kept.parent.rmdir()
    kept.parent.write_text("")  # where the folder would be
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "no preprints are listed" in result.output
    assert "is kept" not in result.output


def uncommented() -> str:
    """The example configuration with every source that stands behind a #."""
    text = (ROOT / "config" / "digest.toml").read_text(encoding="utf-8")
    sources = text.partition("# --- where papers come from")[2].partition("# --- how digests leave")[0]
    lines = [line.removeprefix("# ") for line in sources.splitlines()]
    is_toml = re.compile(r"\[\[?\w+\]\]?$|\w+ = ")
    return "\n".join(line for line in lines if is_toml.match(line))


def test_every_key_in_the_example_configuration_is_one_that_its_kind_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "lab.py").write_text(
        "class LabPage:\n    def __init__(self, name: str, *, url: str) -> None:\n        self.name = name\n"
    )
    (tmp_path / "ca.pem").write_text("")
    config = configure(tmp_path)
    text = uncommented().replace('[[sources]]\nkind = "file"', '[[sources]]\nname = "files"\nkind = "file"')
    config.write_text(text, encoding="utf-8")
    built = app.load(str(config), {}).sources
    sys.modules.pop("lab", None)
    kinds = set(re.findall(r'^kind = "([\w]+)"', text, re.MULTILINE))
    assert set(plugins.names("sources")) - kinds == {"medrxiv"}
    assert len(built) == len(kinds) + 1


def test_the_readme_names_every_kind_of_source() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Where papers come from")[2].partition("### A source")[0]
    assert set(plugins.names("sources")) <= set(re.findall(r"`(\w+)`", table))


def test_a_check_looks_for_the_keys_of_sources_and_of_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = (
        '[network]\nproxy = "http://127.0.0.1:9"\nproxy_username = "me"\n'
        'proxy_password = { env = "DIGEST_TEST_PROXY" }\n'
        '[[sources]]\nkind = "pubmed"\nquery = "ferns"\nkey = { env = "DIGEST_TEST_KEY" }\n'
    )
    config = configure(tmp_path, extra=keys)
    monkeypatch.setenv("DIGEST_TEST_KEY", "hunter2")
    monkeypatch.setenv("DIGEST_TEST_PROXY", "hunter3")
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "pubmed: " in result.output
    assert "proxy: " in result.output
    assert "hunter" not in result.output
    assert result.return_value == 0
    monkeypatch.delenv("DIGEST_TEST_KEY")
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "DIGEST_TEST_KEY" in result.output
    assert result.return_value == 2
    configure(tmp_path, extra=keys.replace("query", "quarry"))
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "Did you mean query?" in result.output
    assert "DIGEST_TEST_KEY" not in result.output
