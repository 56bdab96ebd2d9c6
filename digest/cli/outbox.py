"""`digest outbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from digest.cli import options, values
from digest.cli.output import document, line, printable, say
from digest.core.model import DeliveryState
from digest.errors import DigestError
from digest.redaction import redacted

if TYPE_CHECKING:
    from digest.core.model import Delivery
    from digest.store.store import Store


_number = click.argument("number", type=int, metavar="ID", shell_complete=values.deliveries)
_DECISIONS = {
    "sent": DeliveryState.SENT,
    "resend": DeliveryState.PLANNED,
    "drop": DeliveryState.DROPPED,
}


@click.group(invoke_without_command=True, epilog="Example: digest outbox retry --all-failed")
@click.pass_context
@options.config
def outbox(ctx: click.Context, config: str | None) -> None:
    """Deliveries, and what to do about those that failed."""
    ctx.obj = config
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@outbox.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(list(DeliveryState), case_sensitive=False),
    metavar="STATE",
    help=f"Only those in this state; repeatable: {', '.join(DeliveryState)}.",
)
@click.pass_obj
@options.config
@options.as_json
def list_(
    outer: str | None, config: str | None, states: tuple[DeliveryState, ...] = (), *, as_json: bool = False
) -> None:
    """List deliveries, oldest first."""
    from digest.cli.status import as_values

    with options.load(config or outer).store() as store:
        deliveries = store.listed(*states)
    if as_json:
        document([as_values(delivery) for delivery in deliveries])
        return
    for delivery in deliveries:
        where = delivery.recipient or delivery.channel
        error = f": {delivery.error}" if delivery.error else ""
        line(str(delivery.id), _words(f"{delivery.state:<12} {delivery.digest}  {where}{error}"))


@outbox.command()
@_number
@click.option("--eml", is_flag=True, help="The message itself, byte for byte.")
@click.pass_obj
@options.config
def show(outer: str | None, config: str | None, number: int, *, eml: bool) -> None:
    """Show one delivery, and the headers of its mail."""
    from digest.cli.status import as_values

    with options.load(config or outer).store() as store:
        delivery = _found(store, number)
    content = delivery.message or b""
    if eml:
        click.echo(content, nl=False)
        return
    for name, value in as_values(delivery).items():
        if value is not None:
            line(name.replace("_", " "), _words(str(value)))
    if delivery.channel == "email":
        headers = content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        click.echo()
        for header in headers.splitlines():
            say(_words(header), hang=4)


@outbox.command(short_help="Hand a delivery over again with the next run.")
@click.argument("number", type=int, metavar="ID", required=False, shell_complete=values.deliveries)
@click.option("--all-failed", is_flag=True, help="Everything that has failed.")
@click.pass_obj
@options.config
def retry(outer: str | None, config: str | None, number: int | None, *, all_failed: bool) -> None:
    """Hand a delivery over again with the next run, with the same bytes."""
    if (number is None) != all_failed:
        raise click.UsageError("Say which: an ID, or --all-failed.")
    if number is not None:
        _settle(config or outer, number, DeliveryState.PLANNED)
        return
    with options.load(config or outer).store(lock=True, wait=10) as store:
        line("Planned", f"{store.retry_failed()} that had failed")


@outbox.command(short_help="Decide about a delivery that is uncertain or failed.")
@_number
@click.option("--sent", "decision", flag_value="sent", help="It has arrived.")
@click.option("--resend", "decision", flag_value="resend", help="It has not; send it again.")
@click.option("--drop", "decision", flag_value="drop", help="It need not arrive any more.")
@click.pass_obj
@options.config
def resolve(outer: str | None, config: str | None, number: int, decision: str | None) -> None:
    """Say what became of a delivery that is uncertain, or what is to become of one that failed."""
    if decision is None:
        raise click.UsageError("Say --sent, --resend or --drop.")
    _settle(config or outer, number, _DECISIONS[decision])


@outbox.command()
@click.argument("profile", shell_complete=values.profiles)
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
        if _found(store, number).state == DeliveryState.SENT:
            raise DigestError(f"delivery {number} has been sent already")
        if state == DeliveryState.PLANNED:
            store.plan_again(number)
        else:
            store.mark(number, state)
    line(str(number), state)


def _found(store: Store, number: int) -> Delivery:
    if (delivery := store.delivery(number)) is None:
        raise DigestError(f"there is no delivery {number}", remedy="`digest outbox` lists them.")
    return delivery


def _words(text: str) -> str:
    return printable(redacted(text))
