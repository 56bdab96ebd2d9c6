"""`digest outbox`."""

from __future__ import annotations

import click

from digest.cli import options
from digest.cli.output import line
from digest.core.model import DeliveryState
from digest.errors import DigestError


@click.group(invoke_without_command=True)
@click.pass_context
@options.config
def outbox(ctx: click.Context, config: str | None) -> None:
    """Deliveries, and what to do about those that failed."""
    ctx.obj = config
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@outbox.command("list")
@click.pass_obj
@options.config
def list_(outer: str | None, config: str | None) -> None:
    """List all deliveries, oldest first."""
    with options.load(config or outer).store() as store:
        for delivery in store.deliveries():
            where = delivery.recipient or delivery.channel
            error = f": {delivery.error}" if delivery.error else ""
            line(str(delivery.id), f"{delivery.state:<12} {delivery.digest}  {where}{error}")


@outbox.command()
@click.argument("number", type=int, metavar="ID")
@click.pass_obj
@options.config
def retry(outer: str | None, config: str | None, number: int) -> None:
    """Hand a delivery over again with the next run, with the same bytes."""
    _settle(config or outer, number, DeliveryState.PLANNED)


@outbox.command()
@click.argument("number", type=int, metavar="ID")
@click.option("--sent", "decision", flag_value="sent", help="It has arrived.")
@click.option("--resend", "decision", flag_value="resend", help="It has not; send it again.")
@click.pass_obj
@options.config
def resolve(outer: str | None, config: str | None, number: int, decision: str | None) -> None:
    """Say what became of an uncertain delivery."""
    if decision is None:
        raise click.UsageError("Say --sent or --resend.")
    state = DeliveryState.SENT if decision == "sent" else DeliveryState.PLANNED
    _settle(config or outer, number, state)


@outbox.command()
@click.argument("profile")
@click.argument("address")
@click.pass_obj
@options.config
def resume(outer: str | None, config: str | None, profile: str, address: str) -> None:
    """Send a profile's mail again to somebody who has stopped it."""
    from digest.core import mailbox

    with options.load(config or outer).store() as store:
        if not store.resume(profile, mailbox.key(address)):
            raise DigestError(
                f"{address} has not stopped the mail of {profile!r}", remedy="`digest status` says who has."
            )
    line("Resumed", f"{profile}: mail to {address}")


def _settle(config: str | None, number: int, state: DeliveryState) -> None:
    with options.load(config).store(lock=True, wait=10) as store:
        known = {delivery.id: delivery for delivery in store.deliveries()}
        if number not in known:
            raise DigestError(f"there is no delivery {number}", remedy="`digest outbox` lists them.")
        if known[number].state == DeliveryState.SENT:
            raise DigestError(f"delivery {number} has been sent already")
        store.mark(number, state)
    line(str(number), state)
