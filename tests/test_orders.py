"""Signals: whoever waits is told at once, and nobody else."""

from __future__ import annotations

import os
import signal
from threading import Thread

import pytest

from digest.orders import Orders, Told, until_terminated


def test_whoever_waits_is_told_of_a_signal_and_of_no_other_time() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with until_terminated() as stop:
        assert stop.wait(0.01) is False
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(3600) is True
        assert stop.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_that_no_signal_reaches_is_told_nothing() -> None:
    before, met = signal.getsignal(signal.SIGTERM), list[object]()

    def look() -> None:
        with until_terminated() as stop:
            met.extend((signal.getsignal(signal.SIGTERM), stop.is_set()))

    thread = Thread(target=look)
    thread.start()
    thread.join()
    assert met == [before, False]


def test_a_machine_without_the_signal_to_reload_listens_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
    before = [signal.getsignal(number) for number in numbers]
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    orders = Orders()
    try:
        orders.listen()
        assert signal.getsignal(numbers[2]) is before[2]
        os.kill(os.getpid(), signal.SIGTERM)
        orders.wait(3600)
        assert orders.stop.is_set()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_a_wait_ends_while_it_lasts() -> None:
    told = Told()
    thread = Thread(target=told.set)
    thread.start()
    assert told.wait(3600) is True
    thread.join()
