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


def beat(tick: Callable[[], None], *, seconds: float = SECONDS, stop: threading.Event | None = None) -> None:
    """Call `tick` now and at every beat until SIGTERM, SIGINT or `stop`; the running tick is finished."""
    ended = stop or threading.Event()
    if stop is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        tick, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None, max_instances=1
    )
    tick()
    scheduler.start()
    try:
        # A wait without a limit would sleep through signals on some systems, and through a suspension.
        while not ended.wait(timeout=seconds):
            pass
    finally:
        scheduler.shutdown(wait=True)
