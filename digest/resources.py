"""What an installation brings: its version, and where its templates and example configuration are.

A wheel carries copies of the two top-level folders inside the package.
An editable install does not, and a stale copy would be worse than none, so it uses the checkout's.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `templates` or `config` that this installation brings."""
    packaged = _PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


@cache  # it reads the whole README, which is among the metadata
def version() -> str:
    """The version of digest."""
    return metadata.version("digest")
