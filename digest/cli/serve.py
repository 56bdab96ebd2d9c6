"""`digest serve`."""

from __future__ import annotations

import click

from digest.cli import options
from digest.cli.output import line


@click.command()
@options.config
@click.option("--host", default="127.0.0.1", show_default=True, help="An address of this machine itself.")
@click.option("--port", default=8470, show_default=True, type=click.IntRange(0, 65535))
def serve(config: str | None, host: str, port: int) -> None:
    """Feeds, archive pages and health over HTTP, for this machine alone."""
    import uvicorn

    from digest.web import opinions, server, stops

    server.check_host(host)
    app = options.load(config)
    base_url = app.config.serve.base_url
    application = server.application(
        app.config.output_dir,
        app.health,
        outside=None
        if base_url is None
        else server.Outside(base_url, {"/opinion": opinions.routes(app), "/stop": stops.routes(app)}),
    )
    line("Serving", f"http://{host}:{port}/", colour="green")
    uvicorn.run(application, host=host, port=port, log_level="warning")
