"""The heartbeat: look once a minute whether a digest is due.

APScheduler only ticks. What is due is decided by `digest.core.slots` and the store, so a suspended
laptop, a changed clock or a late start need no rule of their own: the next tick sees what is owed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

SECONDS = 60


def told_to_stop() -> threading.Event:
    """What SIGTERM and SIGINT set."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told


def wait_for(stop: threading.Event, *, seconds: float = SECONDS) -> None:
    """Wait for an event, looking at it now and then."""
    # A wait without a limit would sleep through signals on some systems, and through a suspension.
    while not stop.wait(timeout=seconds):
        pass


def beat(tick: Callable[[], None], *, stop: threading.Event, seconds: float = SECONDS) -> None:
    """Call `tick` now and at every beat until `stop`; the running tick is finished.

    Raises what a tick raises: to beat on would hide it.
    """
    failures: list[Exception] = []

    def guarded() -> None:
        try:
            tick()
        except Exception as error:  # noqa: BLE001 - it is raised below
            failures.append(error)
            stop.set()

    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        guarded, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None, max_instances=1
    )
    guarded()
    scheduler.start()
    try:
        wait_for(stop, seconds=seconds)
    finally:
        scheduler.shutdown(wait=True)
    if failures:
        raise failures[0]
