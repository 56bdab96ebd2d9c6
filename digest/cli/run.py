"""`digest run` and its three steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from digest.cli import exit_code, fail, options
from digest.cli.output import count, line, progress
from digest.core import slots
from digest.core.model import DeliveryState
from digest.errors import BusyError, DigestError

if TYPE_CHECKING:
    from digest.app import App
    from digest.core.model import Profile, SourceReport
    from digest.pipeline import Composed, Dispatched
    from digest.store.store import Store

_WAIT = 10.0
"""Seconds to wait for another run; what it does is then done, and this one finds nothing left."""

no_wait = click.option("--no-wait", is_flag=True, help="Exit with 3 at once while another run is active.")


@click.command()
@options.config
@options.profile
@options.at
@click.option("--dry-run", is_flag=True, help="Show what would be sent; send and record nothing.")
@click.option("--no-fetch", is_flag=True, help="Work with what is stored already.")
@no_wait
def run(
    config: str | None, profile: str | None, at: str | None, *, dry_run: bool, no_fetch: bool, no_wait: bool
) -> int:
    """Collect, compose, dispatch: everything that is due; running it again changes nothing."""
    app = options.load(config, collects=not no_fetch)
    profiles = app.profiles(profile)
    moment = options.instant(at, app.config.timezone)
    if dry_run:
        with app.rehearsal() as copy, copy.store() as store:
            code = 0 if no_fetch else _collect(copy, store, moment)
            return max(code, _compose(copy, store, profiles, moment, verb="Would send"))
    with _locked(app, wait=not no_wait) as store:
        if store is None:
            return 0
        return work(app, store, profiles, moment, fetch=not no_fetch)


def work(app: App, store: Store, profiles: Sequence[Profile], at: datetime, *, fetch: bool = True) -> int:
    """All three steps; gives the exit code."""
    codes = [_collect(app, store, at) if fetch else 0]
    codes.append(_compose(app, store, profiles, at))
    codes.append(_dispatch(app, store, at))
    return max(codes)


def tick(app: App) -> None:
    """One beat of `digest schedule`: everything, if something is due, else nothing."""
    from digest import pipeline
    from digest.app import now

    at = now()
    try:
        with app.store(lock=True) as store:
            if any(pipeline.is_due(store, profile, at) for profile in app.config.profiles):
                work(app, store, app.config.profiles, at)
            else:
                _dispatch(app, store, at)
    except DigestError as error:
        fail(error)  # the next beat tries again


@click.command()
@options.config
@options.at
@no_wait
def collect(config: str | None, at: str | None, *, no_wait: bool) -> int:
    """Read the sources into the store."""
    app = options.load(config, collects=True)
    with _locked(app, wait=not no_wait) as store:
        return 0 if store is None else _collect(app, store, options.instant(at, app.config.timezone))


@click.command()
@options.config
@options.profile
@options.at
@no_wait
def compose(config: str | None, profile: str | None, at: str | None, *, no_wait: bool) -> int:
    """Compose the digests that are due, from what is stored."""
    app = options.load(config)
    profiles = app.profiles(profile)
    with _locked(app, wait=not no_wait) as store:
        return (
            0 if store is None else _compose(app, store, profiles, options.instant(at, app.config.timezone))
        )


@click.command()
@options.config
@options.at
@no_wait
def dispatch(config: str | None, at: str | None, *, no_wait: bool) -> int:
    """Hand over what is waiting: mail, feeds, archive pages."""
    app = options.load(config)
    with _locked(app, wait=not no_wait) as store:
        return 0 if store is None else _dispatch(app, store, options.instant(at, app.config.timezone))


@contextmanager
def _locked(app: App, *, wait: bool) -> Iterator[Store | None]:
    """The store, alone; None when another run is still doing the work after a while."""
    with ExitStack() as stack:
        store: Store | None = None
        try:
            store = stack.enter_context(app.store(lock=True))
        except BusyError as busy:
            if not wait:
                raise
            click.echo(f"{busy.place}: {busy.message}; waiting for it", err=True)
            try:
                store = stack.enter_context(app.store(lock=True, wait=_WAIT))
            except BusyError as still:
                click.echo(str(still), err=True)
        yield store


def _collect(app: App, store: Store, at: datetime) -> int:
    names = [source.name for source in app.sources]
    with progress("Collecting", names) as done:
        reports = list(app.collect(store, at=at, done=done))
    return _reported(reports)


def _reported(reports: Iterable[SourceReport]) -> int:
    code = 0
    for report in reports:
        if report.error is not None:
            line("Failed", f"{report.source}: {report.error}", colour="red", err=True)
            code = 1
            continue
        text = f"{report.source}: {count(report.listed, 'paper')} listed, {report.new} new"
        line("Collected", text if report.complete else f"{text}, incomplete")
        for note in report.notes:
            line("", f"{report.source}: {note}", colour="yellow", err=True)
        code = max(code, 0 if report.complete else 1)
    return code


def _compose(
    app: App, store: Store, profiles: Sequence[Profile], at: datetime, *, verb: str = "Composed"
) -> int:
    due = {composed.profile.name: composed for composed in _said(app.compose(store, profiles, at=at), verb)}
    for profile in profiles:
        if profile.name not in due and profile.schedule is not None:
            coming = slots.following(profile.schedule, at).astimezone(ZoneInfo(profile.schedule.timezone))
            line("Waiting", f"{profile.name}: the next digest is due {coming:%a %d %b, %H:%M}")
    return 0


def _said(all_composed: Iterable[Composed], verb: str) -> Iterator[Composed]:
    for composed in all_composed:
        digest = composed.digest
        if digest is None:
            line("Nothing new", composed.profile.name)
        else:
            parts = [f"{section.interest} {len(section.recommendations)}" for section in digest.sections]
            if digest.overflow:
                parts.append(f"{len(digest.overflow)} more by title")
            if digest.waiting:
                parts.append(f"{len(digest.waiting)} waiting for the next digest")
            papers = count(len(digest.recommendations), "paper")
            line(
                verb,
                f"{composed.profile.name}: {papers} of {digest.scanned}"
                + (f": {', '.join(parts)}" if parts else ""),
            )
        yield composed


def _dispatch(app: App, store: Store, at: datetime) -> int:
    return _settled(app.dispatch(store, at=at))


def _settled(all_done: Iterable[Dispatched]) -> int:
    code = 0
    for done in all_done:
        delivery = done.delivery
        where = f"e-mail to {delivery.recipient}" if delivery.channel == "email" else delivery.channel
        if done.state == DeliveryState.STOPPED:
            line("Stopped", f"{delivery.profile}: by {delivery.recipient}; nothing was sent")
        elif done.error is None:
            line("Delivered", f"{delivery.profile}: {where}")
        else:
            line(
                done.state.capitalize(), f"{delivery.profile}: {where}: {done.error}", colour="red", err=True
            )
            code = max(code, exit_code(done.error))
    return code
