"""What signals ask of a process: to finish what it does and leave, or to read its configuration again.

A handler runs in the main thread, between any two of its steps, so it may not take a lock that the same
thread holds: `threading.Event` has one, `queue.SimpleQueue` may be put into all the same.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event, current_thread, main_thread
from time import sleep
from typing import Literal, Protocol

LOOK = 60.0
"""Seconds after which whoever waits for an order looks up: a suspension may have swallowed a signal."""

_STEP = 0.5  # seconds


class Stop(Protocol):
    """Whether to stop, as a `threading.Event` says it."""

    def is_set(self) -> bool:
        """Whether it is time."""

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds, or until it is time; gives whether it is."""


class Orders:
    """What is asked of a process that stays, by signals or from within.

    The main thread must `wait`, which is when an order takes effect.
    """

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.stop = Event()
        self.reload = Event()
        self._given: SimpleQueue[Literal["end", "renew"]] = SimpleQueue()

    def end(self) -> None:
        """Finish what is being done, and leave."""
        self._given.put("end")

    def renew(self) -> None:
        """Read the configuration again."""
        self._given.put("renew")

    def listen(self) -> None:
        """Take SIGTERM, SIGINT and, where there is one, SIGHUP for orders."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self.renew())

    def wait(self, seconds: float) -> None:
        """Wait for an order, but not longer than this."""
        with suppress(Empty):
            order = self._given.get(timeout=seconds)
            while True:  # all that was given meanwhile
                (self.stop if order == "end" else self.reload).set()
                order = self._given.get_nowait()


def unheard() -> None:
    """Leave orders to the other threads.

    A system may hand a signal to any thread while the main one is at another, and Python would not wake it.
    """
    if hasattr(signal, "pthread_sigmask"):  # pragma: no branch - Windows has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Told:
    """A `Stop` that a handler may set in the thread that waits for it."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """It is time."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is time."""
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds, or until it is time; gives whether it is."""
        left = timeout
        while left > 0 and not self._is_set:
            sleep(min(left, _STEP))
            left -= _STEP
        return self._is_set


@contextmanager
def until_terminated() -> Iterator[Stop]:
    """What SIGTERM sets for as long as the block lasts, in the place of ending the process at once."""
    told = Told()
    if current_thread() is not main_thread():  # Python hands signals to that one alone
        yield told
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
