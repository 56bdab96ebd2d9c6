"""`digest serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from digest.cli import fail, options
from digest.cli.output import line
from digest.errors import DigestError

if TYPE_CHECKING:
    from digest.app import App
    from digest.orders import Orders


def served(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the server listens, and to whom."""
    for option in (
        click.option("--public", is_flag=True, help="Anybody may read."),
        click.option(
            "--port",
            default=8470,
            show_default=True,
            type=click.IntRange(0, 65535),
            help="The port; 0 takes a free one.",
        ),
        click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at."),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: digest serve --port 8470")
@options.config
@served
def serve(config: str | None, host: str, port: int, *, public: bool) -> None:
    """Feeds, archive pages and health over HTTP."""
    from digest.orders import LOOK, Orders

    app, orders = options.load(config), Orders()
    orders.listen()
    with serving(app, host, port, orders, public=public) as use:
        while not orders.stop.is_set():
            orders.wait(LOOK)
            if orders.reload.is_set():
                orders.reload.clear()
                try:
                    use(app.reloaded())
                except DigestError as error:
                    fail(error)


@contextmanager
def serving(
    app: App, host: str, port: int, orders: Orders, *, public: bool
) -> Iterator[Callable[[App], None]]:
    """Answer for as long as the block lasts; gives what makes it answer for another configuration.

    The end of the server is an order to end.
    """
    from digest.web import server

    answering = server.Exchangeable(server.application(app, host=host, is_public=public))

    def use(other: App) -> None:
        answering.application = server.application(other, host=host, is_public=public)

    with server.listen(host, port) as listener, server.serving(answering, listener, ended=orders.end):
        shown = f"[{host}]" if ":" in host else host
        line("Serving", f"http://{shown}:{listener.getsockname()[1]}/", colour="green")
        yield use
