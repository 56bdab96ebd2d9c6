"""The log: a line for each step on standard error, and no secret in it, whoever wrote it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from digest.redaction import redacted

_OURS = "digest"
_BARE = re.compile(r'[^\s"=\\]+')


def step(level: int, **fields: object) -> None:
    """Write down what was done; what is None is left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    logging.getLogger(_OURS).log(level, "%s", _logfmt(given), extra={"fields": given})


@contextmanager
def written(form: str) -> Iterator[None]:
    """Write our steps, and warnings of others, in a form for machines."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines(_logfmt if form == "logfmt" else json.dumps))
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)


def guard() -> None:
    """Hide the secrets in every record that is made from now on.

    A filter would have to be put on every handler, also on those that others add later.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Guarded):
        logging.setLogRecordFactory(_Guarded(make))


class _Guarded:
    """Makes log records without secrets."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **values: Any) -> logging.LogRecord:  # noqa: ANN401 - as it is called
        record = self._make(*args, **values)
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - logging would print what does not fit together, as it is
            said = f"{record.msg} {record.args!r}"
            record.msg, record.args = said, None
        if (shown := redacted(said)) != said:
            record.msg, record.args = shown, None
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            if (shown := redacted(trace)) != trace:
                record.exc_info, record.exc_text = None, shown
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return record


class _Lines(logging.Formatter):
    """A record on one line."""

    def __init__(self, write: Callable[[Mapping[str, object]], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        """The time, the level, and what there is to say."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values: dict[str, object] = {"ts": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
        values |= getattr(record, "fields", None) or {"logger": record.name, "message": record.getMessage()}
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        if trace:
            values["exception"] = trace
        hidden = {
            name: redacted(value) if isinstance(value, str) else value for name, value in values.items()
        }
        return self._write(hidden)


def _logfmt(values: Mapping[str, object]) -> str:
    """`key=value key="another value"` (https://brandur.org/logfmt), with the quoting of JSON."""
    return " ".join(f"{name}={_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if text.isprintable():
        return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
    return json.dumps(text)
