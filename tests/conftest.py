"""What every test stands on: a closed network and, where they are there, real documents and a browser."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from tools import absent, needed

# How long an example takes says more about the machine than about the code.
settings.register_profile("digest", parent=settings(), deadline=None)
settings.load_profile("digest")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DIGEST_TEST_SHARED", ROOT.parent / "shared"))


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as the socket module types it
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _plug_ins_end_with_their_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget modules that lay in the folder of a test: the next one has others of the same names."""
    path, before = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    temporary = str(tmp_path_factory.getbasetemp())
    for name in sys.modules.keys() - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(temporary):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of documents as the sites served them; they are not ours to hand on."""
    if not SHARED.is_dir():
        absent(f"{SHARED} is not there: it holds documents that are not ours to hand on")
    return SHARED


@pytest.fixture(scope="module")  # not longer: Playwright's running event loop would refuse everyone else's
def browser() -> Iterator[Browser]:
    """The Chromium of the system."""
    chromium = needed("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()
