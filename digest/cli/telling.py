"""What a run says of itself, to people line by line or to machines as a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

import click

from digest.cli import exit_code, fail
from digest.cli.output import count, line, progress
from digest.core import slots
from digest.core.model import DeliveryState
from digest.errors import DigestError
from digest.redaction import redacted

if TYPE_CHECKING:
    from digest.core.model import Delivery, Profile, RunReport, SourceReport
    from digest.pipeline import Composed
    from digest.sending import Dispatched

Form = Literal["lines", "logfmt", "json"]

_LEVELS = {"info": 20, "warning": 30, "error": 40}  # of the logging module, which lines for people need not
_COLOURS = {"warning": "yellow", "error": "red"}
_AGAIN = timedelta(hours=1)
_FEW = 10  # profiles that wait, one by one


class Telling:
    """Says what is done; with `once`, it repeats trouble that goes on after an hour only."""

    def __init__(self, form: Form = "lines", *, once: bool = False) -> None:
        self._form = form
        self._is_once = once
        self._told: dict[Hashable, datetime] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write in this form for as long as the block lasts."""
        if self._form == "lines":
            yield
            return
        from digest.cli import log

        with log.written(self._form):
            yield

    def progress(
        self, label: str, names: Sequence[str] = (), *, total: int = 0
    ) -> AbstractContextManager[Callable[[str], None]]:
        """What `output.progress` gives; none beside lines for machines."""
        return (
            progress(label, names, total=total) if self._form == "lines" else nullcontext(lambda _name: None)
        )

    def collected(self, report: SourceReport, at: datetime) -> None:
        """How reading one source went."""
        if not report.fell_short or self._is_news(at, report.source, report.error):
            text = f"{report.source}: {count(report.listed, 'paper')} listed, {report.new} new"
            if report.error is not None:
                label, text, level = "Failed", f"{report.source}: {report.error}", "error"
            elif not report.complete:
                label, text, level = "Collected", f"{text}, incomplete", "info"
            else:
                label, level = "Collected", "info"
            self._tell(
                level,
                label,
                text,
                step="collect",
                source=report.source,
                listed=report.listed,
                new=report.new,
                complete=report.complete,
                error=report.error,
            )
        for note in report.notes:
            if self._is_news(at, report.source, note):
                self._tell(
                    "warning", "", f"{report.source}: {note}", step="collect", source=report.source, note=note
                )

    def composed(self, composed: Composed, at: datetime, verb: str) -> None:
        """What a profile gets."""
        name, digest = composed.profile.name, composed.digest
        if composed.waits:
            text = f"{name}: nothing could be read yet, so this digest waits"
            if self._is_news(at, name, text):
                self._tell("warning", "Waiting", text, step="compose", profile=name, waits=True)
            return
        if digest is None:
            self._tell("info", "Nothing new", name, step="compose", profile=name, papers=0)
            return
        parts = [f"{section.interest} {len(section.recommendations)}" for section in digest.sections]
        if digest.overflow:
            parts.append(f"{len(digest.overflow)} more by title")
        if digest.waiting:
            parts.append(f"{len(digest.waiting)} waiting for the next digest")
        papers = len(digest.recommendations)
        self._tell(
            "info",
            verb,
            f"{name}: {count(papers, 'paper')} of {digest.scanned}"
            + (f": {', '.join(parts)}" if parts else ""),
            step="compose",
            profile=name,
            papers=papers,
            scanned=digest.scanned,
            digest=digest.id,
        )

    def not_due(self, profiles: Sequence[Profile], at: datetime) -> None:
        """When the digests are due that are not due now; of interest to a person who waits."""
        if self._form != "lines" or self._is_once:
            return
        scheduled = [(one.name, one.schedule) for one in profiles if one.schedule is not None]
        for name, schedule in scheduled[:_FEW]:
            local = slots.following(schedule, at).astimezone(ZoneInfo(schedule.timezone))
            line("Waiting", f"{name}: the next digest is due {local:%a %d %b, %H:%M}")
        if len(scheduled) > _FEW:
            line("", f"and {len(scheduled) - _FEW:,} more: see `digest status`")

    def dispatched(self, done: Dispatched, at: datetime) -> None:
        """How handing over one message went."""
        delivery, error = done.delivery, done.error
        if done.state == DeliveryState.STOPPED:
            level, label, text = "info", "Stopped", f"by {delivery.recipient}; nothing was sent"
        elif error is None:
            level, label, text = "info", "Delivered", _place(delivery)
        else:
            # What waits may wait for one reason: it is the reason that is news.
            waits = done.state == DeliveryState.DEFERRED
            if not self._is_news(at, None if waits else delivery.id, error):
                return
            level, label = "error", done.state.capitalize()
            text = f"{_place(delivery)}: {error}"
        self._tell(
            level,
            label,
            f"{delivery.profile}: {text}",
            step="dispatch",
            delivery=delivery.id,
            profile=delivery.profile,
            channel=delivery.channel,
            recipient=delivery.recipient or None,
            state=done.state.value,
            attempts=delivery.attempts,
            error=None if error is None else str(error),
        )

    def left(self, messages: int, at: datetime) -> None:
        """How many messages have not had their turn: the server takes none now, or no more."""
        if messages and self._is_news(at, None, "left"):
            wait = "waits" if messages == 1 else "wait"
            text = f"{count(messages, 'message')} {wait} for the next run"
            self._tell("warning", "Waiting", text, step="dispatch", left=messages)

    def waiting(self, busy: DigestError) -> None:
        """Another run is active, which is waited for."""
        text = f"{busy.place}: {busy.message}; waiting for it"
        self._tell("warning", "Busy", text, step="wait", error=str(busy))

    def ran(self, report: RunReport) -> None:
        """What a run did, which people have seen line by line."""
        if self._form != "lines" and report.ended_at is not None:
            self._tell(
                "info" if report.error is None else "error",
                "",
                "",
                step="run",
                sources=report.sources,
                failed_sources=report.failed_sources,
                papers=report.papers,
                digests=report.digests,
                delivered=report.delivered,
                not_delivered=report.not_delivered,
                seconds=int((report.ended_at - report.started_at).total_seconds()),
                error=report.error,
            )

    def trouble(self, error: DigestError, at: datetime | None = None) -> int:
        """What went wrong apart from one source or message; gives the exit code for it.

        `at` is needed where trouble is to be told once.
        """
        if at is None or self._is_news(at, None, error):
            if self._form == "lines":
                fail(error)
            else:
                self._tell("error", "", "", step="end", kind=type(error).__name__, error=str(error))
        return exit_code(error)

    def note(self, label: str, text: str) -> None:
        """Something else that a person may want to know."""
        self._tell("info", label, text, step=label.lower(), note=text)

    def _tell(self, level: str, label: str, text: str, **fields: object) -> None:
        if self._form == "lines":
            line(label, redacted(text), colour=_COLOURS.get(level), err=level != "info")
            return
        from digest.cli import log

        log.step(_LEVELS[level], **fields)

    def _is_news(self, at: datetime, of: Hashable, said: object) -> bool:
        """Whether to tell of it; servers count seconds and connections in their words, which is no news."""
        if not self._is_once:
            return True
        key = (of, re.sub(r"\S*[\d@]\S*", "0", str(said)))
        self._told = {one: told for one, told in self._told.items() if timedelta(0) <= at - told < _AGAIN}
        if key in self._told:
            return False
        self._told[key] = at
        return True


def telling(*, once: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--log`; the command gets a `Telling`, which tells of what it raises, too."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--log",
            "form",
            type=click.Choice(get_args(Form)),
            default="lines",
            show_default=True,
            envvar="DIGEST_LOG",
            show_envvar=True,
            help="How to tell what is done: lines for people; logfmt or JSON on stderr.",
        )
        @wraps(command)
        def told(*arguments: object, form: str, **options: object) -> object:
            telling = Telling(cast("Form", form), once=once)
            with telling.open():
                try:
                    return command(*arguments, telling=telling, **options)
                except DigestError as error:
                    return telling.trouble(error)

        return told

    return decorated


def _place(delivery: Delivery) -> str:
    names = {"email": f"e-mail to {delivery.recipient}", "webhook": f"webhook {delivery.recipient}"}
    return names.get(delivery.channel, delivery.channel)
