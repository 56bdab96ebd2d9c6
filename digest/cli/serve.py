"""`digest serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from digest.cli import options
from digest.cli.output import line

if TYPE_CHECKING:
    import threading

    from digest.app import App


def served(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the server listens, and to whom."""
    for option in (
        click.option("--public", is_flag=True, help="Anybody may read."),
        click.option("--port", default=8470, show_default=True, type=click.IntRange(0, 65535)),
        click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at."),
    ):
        command = option(command)
    return command


@click.command()
@options.config
@served
def serve(config: str | None, host: str, port: int, *, public: bool) -> None:
    """Feeds, archive pages and health over HTTP."""
    from digest.schedule import wait_for

    with serving(options.load(config), host, port, public=public) as stop:
        wait_for(stop)


@contextmanager
def serving(app: App, host: str, port: int, *, public: bool) -> Iterator[threading.Event]:
    """Answer for as long as the block lasts; gives what signals set, and the end of the server."""
    from digest import schedule
    from digest.web import server

    application = server.application(app, host=host, is_public=public)
    with server.listen(host, port) as listener:
        stop = schedule.told_to_stop()
        with server.serving(application, listener, ended=stop.set):
            shown = f"[{host}]" if ":" in host else host
            line("Serving", f"http://{shown}:{listener.getsockname()[1]}/", colour="green")
            yield stop
