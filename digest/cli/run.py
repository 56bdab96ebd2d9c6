"""`digest run` and its three steps."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from digest.cli import exit_code, options
from digest.cli.telling import Telling, telling
from digest.core.model import Channel, DeliveryState, RunReport
from digest.errors import BusyError, DigestError, LimitReachedError
from digest.orders import Stop, Told, until_terminated

if TYPE_CHECKING:
    from digest.app import App
    from digest.core.model import Profile
    from digest.store.store import Store

_WAIT = 10.0
"""Seconds to wait for another run; what it does is then done, and this one finds nothing left."""

no_wait = click.option("--no-wait", is_flag=True, help="Exit with 3 at once while another run is active.")


@click.command(epilog="`digest run --dry-run` shows what would come.")
@options.config
@options.profile
@options.at
@click.option("--dry-run", is_flag=True, help="Show what would be sent; send and record nothing.")
@click.option("--no-fetch", is_flag=True, help="Work with what is stored already.")
@no_wait
@telling()
def run(
    config: str | None,
    profile: str | None,
    at: str | None,
    *,
    dry_run: bool,
    no_fetch: bool,
    no_wait: bool,
    telling: Telling,
) -> int:
    """Collect, compose, dispatch: everything that is due; running it again changes nothing."""
    app = options.load(config, collects=not no_fetch)
    profiles = app.profiles(profile)
    moment = options.instant(at, app.config.timezone)
    if dry_run:
        with app.rehearsal() as copy, copy.store() as store:
            rehearsal = Work(copy, store, moment, telling=telling)
            if not no_fetch:
                rehearsal.collect()
            return rehearsal.compose(profiles, verb="Would send")
    with _locked(app, telling, wait=not no_wait) as store, until_terminated() as stop:
        if store is None:
            return 0
        return Work(app, store, moment, stop, telling).run(profiles, fetch=not no_fetch)


class Work:
    """A run, step by step: says what is done, counts it, and ends between two steps when told to."""

    def __init__(
        self,
        app: App,
        store: Store,
        at: datetime,
        stop: Stop | None = None,
        telling: Telling | None = None,
    ) -> None:
        from digest.app import running

        self._app, self._store, self._at = app, store, at
        self._stop = stop or Told()
        self._telling = telling or Telling()
        self._clock = running(at)
        self._done = RunReport(started_at=at)
        self.code = 0
        self.mail_was_refused = False  # by the server or by a setting, whatever the mail was
        self.read_nothing = False

    def run(self, profiles: Sequence[Profile], *, fetch: bool = True) -> int:
        """All three steps, written down as a run; gives the exit code."""
        number = self._store.begin_run(self._done)
        try:
            if fetch and not self._stop.is_set():
                self.collect()
            if not self._stop.is_set():
                self.compose(profiles)
            if not self._stop.is_set():
                self.dispatch()
        except DigestError as error:
            self._done = replace(self._done, error=str(error))
            raise
        finally:
            self._done = replace(self._done, ended_at=self._clock())
            with suppress(DigestError):  # which has been told
                self._store.end_run(number, self._done)
            self._telling.ran(self._done)
        return self.code

    def collect(self) -> int:
        """Read the sources; gives the exit code."""
        names = [source.name for source in self._app.sources]
        with self._telling.progress("Collecting", names) as done:
            reports = list(self._app.collect(self._store, at=self._at, done=done))
        self.read_nothing = bool(reports) and all(report.error for report in reports)
        self._count(
            sources=len(reports),
            failed_sources=sum(report.fell_short for report in reports),
            papers=sum(report.new for report in reports),
        )
        for report in reports:
            self._telling.collected(report, self._at)
            self._ended(int(report.fell_short))
        return self.code

    def compose(self, profiles: Sequence[Profile], *, verb: str = "Composed") -> int:
        """Compose what is due; gives the exit code."""
        due: set[str] = set()
        with self._telling.progress("Composing") as done:
            for composed in self._app.compose(self._store, profiles, at=self._at):
                self._telling.composed(composed, self._at, verb)
                due.add(composed.profile.name)
                self._count(digests=composed.digest is not None)
                done(composed.profile.name)
        self._telling.not_due([one for one in profiles if one.name not in due], self._at)
        return self.code

    def dispatch(self, channels: Container[Channel] | None = None) -> int:
        """Hand over what is due, by these channels or all; gives the exit code."""
        from digest.sending import OF_THE_SERVER, OPEN

        done = self._app.dispatch(self._store, at=self._at, pause=self._stop.wait, channels=channels)
        begun = self._store.counts(*OPEN)
        waiting = begun[DeliveryState.PLANNED]
        with closing(done), self._telling.progress("Delivering", total=waiting) as count:
            for one in done:
                count(one.delivery.profile)
                self._telling.dispatched(one, self._at)
                self._ended(0 if one.error is None else exit_code(one.error))
                if one.delivery.channel == "email" and isinstance(
                    one.error, (*OF_THE_SERVER, LimitReachedError)
                ):
                    self.mail_was_refused = True
                self._count(delivered=one.state == DeliveryState.SENT, not_delivered=one.error is not None)
                if self._stop.is_set():
                    break
        if begun:  # else nothing was there that could be left
            left = self._store.counts(DeliveryState.PLANNED)
            self._telling.left(left[DeliveryState.PLANNED], self._at)
        return self.code

    def _count(self, **more: int) -> None:
        counted = {name: getattr(self._done, name) + number for name, number in more.items()}
        self._done = replace(self._done, **counted)

    def _ended(self, code: int) -> int:
        self.code = max(self.code, code)
        return self.code


@click.command()
@options.config
@options.at
@no_wait
@telling()
def collect(config: str | None, at: str | None, *, no_wait: bool, telling: Telling) -> int:
    """Read the sources into the store."""
    app = options.load(config, collects=True)
    moment = options.instant(at, app.config.timezone)
    with _locked(app, telling, wait=not no_wait) as store:
        return 0 if store is None else Work(app, store, moment, telling=telling).collect()


@click.command()
@options.config
@options.profile
@options.at
@no_wait
@telling()
def compose(
    config: str | None, profile: str | None, at: str | None, *, no_wait: bool, telling: Telling
) -> int:
    """Compose the digests that are due, from what is stored."""
    app = options.load(config)
    profiles = app.profiles(profile)
    moment = options.instant(at, app.config.timezone)
    with _locked(app, telling, wait=not no_wait) as store:
        return 0 if store is None else Work(app, store, moment, telling=telling).compose(profiles)


@click.command()
@options.config
@options.at
@no_wait
@telling()
def dispatch(config: str | None, at: str | None, *, no_wait: bool, telling: Telling) -> int:
    """Hand over what is waiting: mail, feeds, archive pages."""
    app = options.load(config)
    moment = options.instant(at, app.config.timezone)
    with _locked(app, telling, wait=not no_wait) as store, until_terminated() as stop:
        return 0 if store is None else Work(app, store, moment, stop, telling).dispatch()


@contextmanager
def _locked(app: App, telling: Telling, *, wait: bool) -> Iterator[Store | None]:
    """The store, alone; None when another run is still doing the work after a while."""
    with ExitStack() as stack:
        store: Store | None = None
        try:
            store = stack.enter_context(app.store(lock=True))
        except BusyError as busy:
            if not wait:
                raise
            telling.waiting(busy)
            try:
                store = stack.enter_context(app.store(lock=True, wait=_WAIT))
            except BusyError as still:
                telling.trouble(still)
        yield store
