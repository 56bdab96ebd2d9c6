"""The heartbeat: look once a minute whether a digest is due.

APScheduler only ticks. What is due is decided by `digest.core.slots` and the store, so a suspended
laptop, a changed clock or a late start need no rule of their own: the next tick sees what is owed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from digest.orders import Orders

SECONDS = 60
_SOON = 1.0


def beat(
    tick: Callable[[], None], *, orders: Orders, clock: Callable[[], datetime], seconds: float = SECONDS
) -> None:
    """Call `tick` now, at every beat and for a reload, until the end; a running tick is finished.

    Raises what a tick raises: to beat on would hide it.
    """
    failures: list[Exception] = []

    def guarded() -> None:
        try:
            tick()
        except Exception as error:  # noqa: BLE001 - it is raised below
            failures.append(error)
            orders.end()

    # A run that takes longer than a beat is no news, and said for each beat of it.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(timezone="UTC")
    job = scheduler.add_job(
        guarded,
        "interval",
        seconds=seconds,
        coalesce=True,
        misfire_grace_time=None,
        max_instances=1,
        next_run_time=clock(),
    )
    scheduler.start()
    try:
        while not orders.stop.is_set():
            # A reload that met a running tick is tried again soon.
            orders.wait(min(seconds, _SOON) if orders.reload.is_set() else seconds)
            was_set_back = job.next_run_time - clock() > timedelta(seconds=seconds)
            if was_set_back or orders.reload.is_set():
                job.modify(next_run_time=clock())
    finally:
        scheduler.shutdown(wait=True)
    if failures:
        raise failures[0]
