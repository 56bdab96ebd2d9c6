"""`digest status`."""

from __future__ import annotations

from shlex import quote
from zoneinfo import ZoneInfo

import click

from digest.cli import options
from digest.cli.output import count, document, line
from digest.core import slots
from digest.core.model import DeliveryState

_NEEDS_YOU = (DeliveryState.FAILED, DeliveryState.UNCERTAIN)
_WAITS = (DeliveryState.PLANNED, DeliveryState.DEFERRED)


@click.command()
@options.config
@options.as_json
def status(config: str | None, *, as_json: bool) -> None:
    """What ran, what is owed, what failed, and what to do."""
    from digest.app import now

    app = options.load(config)
    moment = now()
    with app.store() as store:
        reports = app.reports(store)
        progress = {profile.name: store.progress(profile.name) for profile in app.config.profiles}
        stopped = {profile.name: app.stopped(store, profile) for profile in app.config.profiles}
        open_ = store.deliveries(*_NEEDS_YOU, *_WAITS)
    coming = {
        profile.name: slots.following(profile.schedule, moment) if profile.schedule else None
        for profile in app.config.profiles
    }
    if as_json:
        document(
            {
                "sources": [
                    {
                        "source": report.source,
                        "until": report.period.until.isoformat(),
                        "complete": report.complete,
                        "listed": report.listed,
                        "new": report.new,
                        "error": report.error,
                        "notes": list(report.notes),
                    }
                    for report in reports
                ],
                "profiles": [
                    {
                        "profile": name,
                        "last": None if made is None else made.slot.isoformat(),
                        "next": None if (due := coming[name]) is None else due.isoformat(),
                        "stopped": [
                            {"address": address, "since": at.isoformat()}
                            for address, at in stopped[name].items()
                        ],
                    }
                    for name, made in progress.items()
                ],
                "deliveries": [
                    {
                        "id": delivery.id,
                        "profile": delivery.profile,
                        "channel": delivery.channel,
                        "recipient": delivery.recipient,
                        "state": delivery.state,
                        "attempts": delivery.attempts,
                        "error": delivery.error,
                    }
                    for delivery in open_
                ],
            }
        )
        return
    zone = ZoneInfo(app.config.timezone)
    for report in reports:
        when = f"{report.period.until.astimezone(zone):%a %d %b, %H:%M}"
        if report.error is None:
            line("Source", f"{report.source}: read {when}, {count(report.listed, 'paper')}, {report.new} new")
        else:
            line("Source", f"{report.source}: failed {when}: {report.error}", colour="red")
    for name, made in progress.items():
        last = (
            "no digest yet" if made is None else f"last digest {made.slot.astimezone(zone):%a %d %b, %H:%M}"
        )
        due = coming[name]
        line(
            "Profile",
            f"{name}: {last}, next "
            + (f"{due.astimezone(zone):%a %d %b, %H:%M}" if due else "with the next run"),
        )
        for address, at in stopped[name].items():
            line("Stopped", f"{name}: by {address}, {at.astimezone(zone):%d %b %Y, %H:%M}", colour="yellow")
            line("", f"digest outbox resume {name} {quote(address)}")
    for delivery in open_:
        needs_you = delivery.state in _NEEDS_YOU
        text = f"{delivery.id} {delivery.profile}, {delivery.recipient or delivery.channel}: {delivery.state}"
        line(
            "Delivery",
            text + (f": {delivery.error}" if delivery.error else ""),
            colour="red" if needs_you else "yellow",
        )
        if needs_you:
            uncertain = delivery.state == DeliveryState.UNCERTAIN
            what = f"resolve {delivery.id} --sent (or --resend)" if uncertain else f"retry {delivery.id}"
            line("", f"digest outbox {what}")
    if not open_:
        line("Deliveries", "nothing is waiting and nothing needs you")
