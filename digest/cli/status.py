"""`digest status`: the most important first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from digest.cli import options
from digest.cli.output import count, document, line, moment, printable, span
from digest.core import slots
from digest.core.model import DeliveryState, Schedule
from digest.redaction import redacted

if TYPE_CHECKING:
    from digest.app import App
    from digest.core.model import Delivery, Progress, RunReport, SourceReport
    from digest.store.outbox import Pile
    from digest.store.store import Store

_FEW = 10  # of profiles and sources, one by one
_NAMED = 3  # profiles within a line
_NOUNS = {"email": "mail", "webhook": "notice", "feeds": "feed", "archive": "archive page"}


class Concern(NamedTuple):
    """What somebody should know, and the command that helps."""

    text: str
    command: str = ""


class _State(NamedTuple):
    """What the store says, at one time."""

    at: datetime
    last: RunReport | None
    is_active: bool
    reports: Sequence[SourceReport]
    complete: dict[str, datetime | None]  # until when those sources that failed were read
    made: dict[str, Progress]
    stopped: dict[str, dict[str, datetime]]
    overdue: dict[str, datetime]
    piles: Sequence[Pile]


@click.command(epilog="`digest status --json` is for programs that watch.")
@options.config
@options.at
@options.as_json
def status(config: str | None, at: str | None, *, as_json: bool) -> None:
    """What ran, what is owed, what failed, and what to do."""
    from digest.sending import OPEN

    app = options.load(config)
    now = options.instant(at, app.config.timezone)
    with app.store() as store:
        state = _look(app, store, now)
        open_ = store.listed(*OPEN) if as_json else ()
    told = _Told(app, state)
    if as_json:
        ok = app.health(at=now, since=now)["ok"]
        document(told.as_json(open_) | {"ok": ok})
    else:
        told.tell()


def _look(app: App, store: Store, now: datetime) -> _State:
    from digest import health
    from digest.sending import OPEN

    last, read = store.last_run(), health.reports(app.config, store)
    return _State(
        at=now,
        last=last,
        is_active=last is not None and last.ended_at is None and _is_active(app),
        reports=sorted(read, key=lambda one: not one.fell_short),
        complete={one.source: store.last_complete(one.source, now) for one in read if one.fell_short},
        made=store.all_progress(),
        stopped=app.all_stopped(store),
        overdue=health.overdue(app.config.profiles, store, at=now, since=now),
        piles=store.piles(*OPEN),
    )


def _is_active(app: App) -> bool:
    """Whether a run holds the data directory now."""
    from digest.errors import BusyError
    from digest.store.lock import locked

    try:
        with locked(app.config.data_dir, wait=0):
            return False
    except BusyError:
        return True


class _Told:
    """The state in words."""

    def __init__(self, app: App, state: _State) -> None:
        self._app = app
        self._state = state
        self._zone = ZoneInfo(app.config.timezone)
        self._following = cache(lambda schedule: slots.following(schedule, state.at))
        self._needs = list(self._what_needs_somebody())
        self._waits = list(self._what_waits())

    # --- what is wrong ------------------------------------------------------------------------

    def _what_needs_somebody(self) -> Iterator[Concern]:
        from digest.health import PATIENCE, is_broken

        state = self._state
        if state.last is not None and state.last.error is not None:
            yield Concern(f"The last run broke off: {state.last.error}", "digest run")
        if state.overdue:
            oldest = self._when(min(state.overdue.values()))
            yield Concern(
                f"{count(len(state.overdue), 'digest')} overdue since {oldest}: {_names(state.overdue)}",
                "digest run",
            )
        for report in state.reports:
            since = state.complete.get(report.source)
            if is_broken(report):
                yield Concern(
                    f"{report.source} cannot be read until somebody has seen to it", "digest check --online"
                )
            elif report.fell_short and since is not None and state.at - since > PATIENCE:
                yield Concern(
                    f"{report.source} has not been read completely since {self._when(since)}",
                    "digest collect",
                )
        for what, reason, piles in self._piles(needing=True):
            yield _concern(what, reason, piles)

    def _what_waits(self) -> Iterator[Concern]:
        for what, reason, piles in self._piles(needing=False):
            since = self._when(min(pile.planned_at for pile in piles))
            turns = [pile.not_before for pile in piles if pile.not_before is not None]
            is_soon = not turns or min(turns) <= self._state.at
            turn = "the next run" if is_soon else self._when(min(turns))
            yield Concern(
                f"{what} {'waits' if _total(piles) == 1 else 'wait'} since {since} for {turn}{reason}"
            )

    def _piles(self, *, needing: bool) -> Iterator[tuple[str, str, list[Pile]]]:
        """What stands for the same reason in the same state: how many of what, and why."""
        from digest.health import needs_somebody

        found: dict[tuple[object, ...], list[Pile]] = {}
        for pile in self._state.piles:
            if needs_somebody(pile, self._app.config.email, self._state.at) == needing:
                # Addresses, paths and what servers number within their words make no other reason.
                reason = re.sub(r"\S*[\d@/]\S*", "0", pile.error or "")
                found.setdefault((pile.channel, pile.state, reason), []).append(pile)
        for piles in found.values():
            number, noun, error = _total(piles), _NOUNS[piles[0].channel], piles[0].error
            whose = _names(dict.fromkeys(pile.profile for pile in piles))
            yield (
                f"{number:,} {noun}{'' if number == 1 else 's'} of {whose}",
                f": {error}" if error else "",
                piles,
            )

    # --- for people ---------------------------------------------------------------------------

    def tell(self) -> None:
        """Print it."""
        self._headline()
        for need in self._needs[:_FEW]:
            _say("Needs you", need.text, colour="red")
            line("", need.command)
        _say_more(len(self._needs) - _FEW)
        for wait in self._waits[:_FEW]:
            _say("Waiting", wait.text, colour="yellow")
        _say_more(len(self._waits) - _FEW)
        self._last_run()
        self._sources()
        self._profiles()

    def _headline(self) -> None:
        number = len(self._needs)
        waiting = sum(pile.count for pile in self._state.piles)
        short = sum(report.fell_short for report in self._state.reports)
        but = [
            f"{count(waiting, 'message')} waiting" if waiting else "",
            f"{count(short, 'source')} not read completely" if short else "",
            "the last run stopped before its end" if self._was_stopped else "",
        ]
        if number:
            text, colour = f"{count(number, 'thing')} {'needs' if number == 1 else 'need'} you", "red"
        elif any(but):
            text, colour = f"Nothing needs you: {', '.join(filter(None, but))}", "yellow"
        else:
            text, colour = "Everything is well, nothing needs you", "green"
        click.secho(text, fg=colour, bold=True)

    @property
    def _was_stopped(self) -> bool:
        last = self._state.last
        return last is not None and last.ended_at is None and not self._state.is_active

    def _last_run(self) -> None:
        last = self._state.last
        if last is None:
            line("Last run", "no run yet: digest run")
            return
        begun = self._when(last.started_at)
        if self._was_stopped:
            _say("Last run", f"{begun}; it was stopped before its end", colour="yellow")
        elif last.ended_at is None:
            _say("Running", f"since {begun}")
        else:
            did = [
                f"{count(last.sources - last.failed_sources, 'source')} read",
                f"{last.failed_sources} not" if last.failed_sources else "",
                f"{count(last.papers, 'new paper')}",
                f"{count(last.digests, 'digest')}",
                f"{last.delivered} delivered",
                f"{last.not_delivered} not" if last.not_delivered else "",
            ]
            length = span(last.ended_at - last.started_at)
            ago = self._state.at - last.ended_at
            if timedelta(0) <= ago < timedelta(days=1):
                begun = f"{begun}, {span(ago)} ago"
            _say("Last run", f"{begun}, took {length}: {', '.join(filter(None, did))}")

    def _sources(self) -> None:
        reports = self._state.reports
        for report in reports[:_FEW]:
            when = self._when(report.period.until)
            if report.error is None:
                found = f"{count(report.listed, 'paper')}, {report.new} new"
                part, colour = ("read", None) if report.complete else ("read in part", "yellow")
                _say("Source", f"{report.source}: {part} {when}, {found}", colour=colour)
            else:
                since = self._state.complete[report.source]
                last = "never read before" if since is None else f"last read {self._when(since)}"
                _say("Source", f"{report.source}: failed {when}, {last}: {report.error}", colour="red")
        _say_more(len(reports) - _FEW)
        read = {report.source for report in reports}
        if unread := [one.name for one in self._app.config.sources if one.name not in read]:
            _say("Source", f"{_names(unread)}: not read yet")

    def _profiles(self) -> None:
        overdue = self._state.overdue
        profiles = sorted(
            ((one.name, one.schedule) for one in self._app.config.profiles),
            key=lambda one: (one[0] not in overdue, self._coming(one[1]) or self._state.at),
        )
        for name, schedule in profiles[:_FEW]:
            self._profile(name, schedule)
        _say_more(len(profiles) - _FEW)
        stops = [
            (name, address, at)
            for name, found in self._state.stopped.items()
            for address, at in found.items()
        ]
        for name, address, at in stops[:_FEW]:
            _say("Stopped", f"{name}: by {address}, {self._when(at)}", colour="yellow")
            line("", f"digest outbox resume {name} {quote(address)}")
        _say_more(len(stops) - _FEW)

    def _profile(self, name: str, schedule: Schedule | None) -> None:
        """A line in the time of whoever reads the digest."""
        timezone = schedule.timezone if schedule else self._app.config.timezone
        zone, made = ZoneInfo(timezone), self._state.made.get(name)
        now = self._state.at
        last = "no digest yet" if made is None else f"last digest {moment(made.slot, now, zone)}"
        coming = self._coming(schedule)
        if name in self._state.overdue:
            coming_text = f"overdue since {moment(self._state.overdue[name], now, zone)}"
        elif coming is None:
            coming_text = "next with the next run"
        else:
            coming_text = f"next {moment(coming, now, zone)}, in {span(coming - now)}"
        elsewhere = f" ({timezone})" if timezone != self._app.config.timezone else ""
        _say(
            "Profile",
            f"{name}: {last}, {coming_text}{elsewhere}",
            colour="red" if name in self._state.overdue else None,
        )

    def _coming(self, schedule: Schedule | None) -> datetime | None:
        return None if schedule is None else self._following(schedule)

    def _when(self, at: datetime) -> str:
        return moment(at, self._state.at, self._zone)

    # --- for machines -------------------------------------------------------------------------

    def as_json(self, deliveries: Iterable[Delivery]) -> dict[str, Any]:
        """All of it."""
        state = self._state
        return {
            "needs_you": [{"text": redacted(need.text), "command": need.command} for need in self._needs],
            "last_run": None if state.last is None else _plain(asdict(state.last)),
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
                for report in state.reports
            ],
            "profiles": [
                {
                    "profile": one.name,
                    "last": None if (made := state.made.get(one.name)) is None else made.slot.isoformat(),
                    "next": None if (due := self._coming(one.schedule)) is None else due.isoformat(),
                    "overdue_since": None
                    if (slot := state.overdue.get(one.name)) is None
                    else slot.isoformat(),
                    "stopped": [
                        {"address": address, "since": at.isoformat()}
                        for address, at in state.stopped.get(one.name, {}).items()
                    ],
                }
                for one in self._app.config.profiles
            ],
            "deliveries": [as_values(delivery) for delivery in deliveries],
        }


def as_values(delivery: Delivery) -> dict[str, Any]:
    """A delivery for machines, without its message."""
    return {
        "id": delivery.id,
        "digest": delivery.digest,
        "profile": delivery.profile,
        "channel": delivery.channel,
        "recipient": delivery.recipient,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "not_before": None if delivery.not_before is None else delivery.not_before.isoformat(),
        "error": None if delivery.error is None else redacted(delivery.error),
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }


def _concern(what: str, reason: str, piles: Sequence[Pile]) -> Concern:
    state, first, is_one = piles[0].state, piles[0].first, _total(piles) == 1
    if state == DeliveryState.FAILED and piles[0].channel in {"feeds", "archive"}:
        return Concern(f"{what} failed{reason}", "digest dispatch")
    if state == DeliveryState.FAILED:
        which = str(first) if is_one else "--all-failed"
        return Concern(f"{what} failed{reason}", f"digest outbox retry {which}")
    if state == DeliveryState.UNCERTAIN:
        how = f"resolve {first} --sent (or --resend)" if is_one else "list --state uncertain"
        return Concern(f"{what} may have arrived or not{reason}", f"digest outbox {how}")
    return Concern(f"{what} {'waits' if is_one else 'wait'} for you{reason}", "digest check --online")


def _total(piles: Iterable[Pile]) -> int:
    return sum(pile.count for pile in piles)


def _names(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _say(label: str, text: str, *, colour: str | None = None) -> None:
    line(label, printable(redacted(text)), colour=colour)


def _say_more(number: int) -> None:
    if number > 0:
        line("", f"and {number:,} more: digest status --json")
