"""What a shell may put in the place of a value: what stands in the configuration and in the store.

A person waits for it within a word, so it is read as it stands, without what checks a configuration and
without what migrates a database; and whatever is wrong with either means that nothing is offered.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

_MOST = 200  # deliveries; who looks for another one has `digest outbox`

Offer = Callable[["click.Context", "click.Parameter", str], "list[CompletionItem]"]


def _offered(found: Callable[[Path, Mapping[str, Any]], Iterator[tuple[str, str]]]) -> Offer:
    """What completes a word by values, and what is said of them, that a configuration leads to."""

    @wraps(found)
    def offer(ctx: click.Context, _parameter: click.Parameter, word: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            path = _configuration(ctx)
            values = dict(one for one in found(path, _toml(path)) if one[0].startswith(word))
        except Exception:  # noqa: BLE001 - a shell would print it in the midst of what is being typed
            return []
        return [CompletionItem(value, help=said or None) for value, said in values.items()]

    return offer


def files(_ctx: click.Context, _parameter: click.Parameter, word: str) -> list[CompletionItem]:
    """The shell's own files; `click.Path` would offer them as well, but look at what is there."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, type="file")]


@_offered
def profiles(config: Path, root: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of profiles, with their titles."""
    patterns = root.get("profiles", "profiles/*.toml")
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for path in sorted(glob.glob(str(config.parent / Path(pattern).expanduser()))):  # noqa: PTH207 - it may be absolute
            profile = _toml(Path(path))
            yield profile["name"], str(profile.get("title", ""))


@_offered
def secrets(_config: Path, root: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names under which the configuration looks into the keyring."""

    def within(value: object) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            if isinstance(name := value.get("keyring"), str):
                yield name, ""
            value = list(value.values())
        for one in value if isinstance(value, list) else ():
            yield from within(one)

    return within(root)


@_offered
def deliveries(config: Path, root: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The newest deliveries that somebody may have to decide about."""
    from digest.store import glance

    folder = root.get("data_dir")
    if folder is None:
        import platformdirs

        folder = platformdirs.user_data_path("digest")
    place = config.parent / Path(folder).expanduser() / "digest.db"
    address = root.get("database", f"sqlite:///{place}")
    for number, state, profile, channel in glance.deliveries(address, _MOST):
        yield str(number), f"{state}: {channel} of {profile}"


def _configuration(ctx: click.Context) -> Path:
    """The configuration that a half-written command means, as `digest.config.find` does."""
    given = None
    inner: click.Context | None = ctx
    while inner is not None and given is None:
        given, inner = inner.params.get("config"), inner.parent
    if given := given or os.environ.get("DIGEST_CONFIG"):
        path = Path(given).expanduser()
        return path / "digest.toml" if path.is_dir() else path
    if (path := Path("config/digest.toml")).is_file():
        return path
    import platformdirs

    return platformdirs.user_config_path("digest") / "digest.toml"


def _toml(path: Path) -> Mapping[str, Any]:
    import tomllib

    return tomllib.loads(path.read_text(encoding="utf-8"))
