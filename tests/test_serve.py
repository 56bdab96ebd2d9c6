"""The server on loopback: files, health, and who is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from served import serving
from world import SWIN_PAGE, configure

from digest.errors import ConfigError
from digest.web.server import check_host


@pytest.fixture
def served(tmp_path: Path) -> Iterator[httpx.Client]:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    run = [sys.executable, "-m", "digest", "run", "--config", str(config)]
    subprocess.run(run, check=True, capture_output=True, timeout=60)
    with serving(config) as client:
        yield client


def test_feeds_and_pages_are_served_and_asked_for_again_in_vain(served: httpx.Client) -> None:
    feed = served.get("/feeds/me/atom.xml")
    assert feed.status_code == 200
    assert "SwinLeaf" in feed.text
    assert feed.headers["cache-control"] == "max-age=900"
    again = served.get("/feeds/me/atom.xml", headers={"If-None-Match": feed.headers["etag"]})
    assert again.status_code == 304
    assert served.head("/feeds/me/rss.xml").status_code == 200
    assert "text/html" in served.get("/").headers["content-type"]
    assert served.get("/feeds/me/nothing.xml").status_code == 404
    assert served.get("/../digest.toml").status_code == 404


def test_health_says_how_sources_and_deliveries_stand(served: httpx.Client) -> None:
    health = served.get("/healthz")
    assert health.status_code == 200
    assert json.loads(health.text)["sources"] == {"file": "read"}


def test_another_name_for_this_machine_is_not_answered(served: httpx.Client) -> None:
    assert served.get("/", headers={"Host": "attacker.example"}).status_code == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])  # noqa: S104 - refused
def test_an_address_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="others could read"):
        check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_is_served(host: str) -> None:
    check_host(host)
