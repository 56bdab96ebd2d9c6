"""Sources, readers and whatever else is found by name.

A name is an entry point of an installed package, digest's own included, or `package.module:object`
for a file of one's own.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from digest.errors import ConfigError, PluginError


@cache
def names(group: str) -> tuple[str, ...]:
    """The names that are registered for `digest.<group>`."""
    return tuple(sorted({point.name for point in _points(group)}))


def load(group: str, name: str, *, folder: Path | None = None) -> Any:  # noqa: ANN401 - the group says what it is
    """The object behind a name; a module of one's own may lie in `folder`.

    Raises ConfigError for a name that nobody registered, PluginError when its code does not load.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        if folder is not None and str(folder) not in sys.path:
            sys.path.append(str(folder))  # behind everything else, so that it replaces nothing
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise _broken(name, error) from error
    for point in _points(group):
        if point.name == name:
            try:
                return point.load()
            except Exception as error:
                raise _broken(name, error) from error
    near = difflib.get_close_matches(name, names(group), n=1)
    known = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names(group)) or 'none'}."
    raise ConfigError(f"nothing is called {name!r} among the {group}", remedy=known)


def _points(group: str) -> tuple[EntryPoint, ...]:
    return _registered().get(f"digest.{group}", ())


@cache  # it reads the metadata of every package that is installed
def _registered() -> dict[str, tuple[EntryPoint, ...]]:
    found = entry_points()
    return {group: tuple(found.select(group=group)) for group in found.groups if group.startswith("digest.")}


def _broken(name: str, error: Exception) -> PluginError:
    return PluginError(
        f"the plug-in cannot be loaded: {type(error).__name__}: {error}",
        place=name,
        remedy="Its author can put that right.",
    )
