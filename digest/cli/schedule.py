"""`digest schedule`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from digest.cli import options
from digest.cli.run import Work
from digest.cli.serve import served, serving
from digest.cli.telling import Telling, telling
from digest.core import slots
from digest.core.backoff import wait
from digest.errors import ConfigError, DigestError

if TYPE_CHECKING:
    from digest.app import App
    from digest.orders import Orders


_LOCKS, _MAY_BE_BACK = 6, 3  # four hours for a login, half an hour for a network
_LONGEST_REST = timedelta(hours=5)


@click.command(epilog="Example: digest schedule --serve")
@options.config
@click.option("--serve", is_flag=True, help="Answer over HTTP meanwhile, as `digest serve` does.")
@served
@telling(once=True)
def schedule(
    config: str | None, host: str, port: int, *, serve: bool, public: bool, telling: Telling
) -> None:
    """Stay, look every minute, and run whenever a digest is due.

    SIGHUP reads the configuration again; SIGTERM finishes what is being done.
    """
    from digest.app import now
    from digest.orders import Orders
    from digest.schedule import beat

    given = click.get_current_context().get_parameter_source
    for option in () if serve else ("host", "port", "public"):
        if given(option) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{option} needs --serve.")
    app = options.load(config, collects=True)
    _scheduled(app)
    orders = Orders()
    orders.listen()
    answering = serving(app, host, port, orders, public=public) if serve else nullcontext(lambda _app: None)
    with answering as use:
        heart = Heart(app, orders, use, telling)
        heart.look_ahead(now())
        beat(heart.tick, orders=orders, clock=now)


class Heart:
    """What is done at a beat: everything, if something is due, else what waits to be handed over."""

    def __init__(
        self, app: App, orders: Orders, use: Callable[[App], None], telling: Telling | None = None
    ) -> None:
        """Beat for a configuration; `use` is told of another one."""
        self._app = app
        self._orders = orders
        self._use = use
        self._telling = telling or Telling(once=True)
        self._mail, self._sources = _Rest(_LOCKS), _Rest(_MAY_BE_BACK)

    def tick(self) -> None:
        """One beat."""
        from digest.app import now

        at = now()
        if self._orders.reload.is_set() or self._app.has_moved:
            self._reload(at)
        try:
            with self._app.store(lock=True) as store:
                work = Work(self._app, store, at, self._orders.stop, self._telling)
                if self._app.is_due(store, at=at) and not self._sources.lasts(at):
                    work.run(self._app.config.profiles)
                    self._sources.heed(at, is_needed=work.read_nothing)
                    self.look_ahead(at)
                else:
                    work.dispatch(("webhook",) if self._mail.lasts(at) else ("email", "webhook"))
        except DigestError as error:
            self._telling.trouble(error, at)  # the next beat tries again
        except OSError as error:  # of the machine: no more memory, files or processes
            self._telling.trouble(DigestError(str(error)), at)
        else:
            self._mail.heed(at, is_needed=work.mail_was_refused)

    def look_ahead(self, at: datetime) -> None:
        """Say when the next digest is due."""
        schedules = [(one.name, one.schedule) for one in self._app.config.profiles if one.schedule]
        due, name, schedule = min(
            ((slots.following(schedule, at), name, schedule) for name, schedule in schedules),
            key=lambda found: found[0],
        )
        local = due.astimezone(ZoneInfo(schedule.timezone))
        self._telling.note("Next", f"{local:%a %d %b, %H:%M}: {name}")

    def _reload(self, at: datetime) -> None:
        self._orders.reload.clear()
        try:
            app = self._app.reloaded()
            _scheduled(app)
        except DigestError as error:
            self._telling.trouble(DigestError(f"the configuration stays as it was: {error}"), at)
            return
        self._app = app
        self._use(app)
        self._mail, self._sources = _Rest(_LOCKS), _Rest(_MAY_BE_BACK)
        self._telling.note("Reloaded", str(app.config.path))
        self.look_ahead(at)


class _Rest:
    """A pause after what would fail again in a minute, longer each time.

    Servers lock an account whose login they refuse each minute, and sites turn away who asks so often.
    """

    def __init__(self, steps: int) -> None:
        """Grow so many times (`digest.core.backoff`)."""
        self._steps = steps
        self._failures = 0
        self._until: datetime | None = None

    def lasts(self, at: datetime) -> bool:
        """Whether it is not over yet; a clock that was set back does not make it longer."""
        return self._until is not None and timedelta() < self._until - at <= _LONGEST_REST

    def heed(self, at: datetime, *, is_needed: bool) -> None:
        """Begin it, make it longer, or forget it."""
        if is_needed:
            self._failures += 1
            self._until = at + (wait(min(self._failures, self._steps), "rest") or _LONGEST_REST)
        elif not self.lasts(at):
            self._failures, self._until = 0, None


def _scheduled(app: App) -> None:
    """Raises ConfigError if a profile has no schedule."""
    for profile in app.config.profiles:
        if profile.schedule is None:
            raise ConfigError(
                f"profile {profile.name} has no schedule",
                place=str(app.config.path),
                remedy="Add [schedule], or let something else call `digest run`.",
            )
