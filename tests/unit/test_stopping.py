"""A request to stop, made by signals that interrupt one another."""

from __future__ import annotations

import signal
from threading import Event

import pytest
from celery.apps.worker import Worker
from celery.worker import state

from shared.stopping import STOPS, StopRequest
from tests.interrupts import ends_though_interrupted
from worker import warm_stop


def test_an_event_would_wait_forever_for_what_it_interrupted() -> None:
    stop = Event()
    assert not ends_though_interrupted(stop.set, stop.set, seconds=0.5)


def test_it_ends_whatever_it_interrupts() -> None:
    stop = StopRequest()
    for call in (stop.set, stop.is_set, lambda: stop.wait(0), lambda: stop.wait(0.01)):
        assert ends_though_interrupted(call, stop.set)


def test_it_lasts() -> None:
    stop = StopRequest()
    assert not stop.wait(0.01)
    assert not stop.is_set()
    stop.set()
    assert stop.wait(5)
    assert stop.wait(5)
    assert stop.is_set()


def test_it_ends_a_wait() -> None:
    stop = StopRequest()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert stop.wait(5)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_a_worker_handles_each_signal_to_stop_itself(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "install_platform_tweaks", lambda *_: None)
    before = {one: signal.getsignal(one) for one in STOPS}
    try:
        worker = warm_stop.WarmWorker.__new__(warm_stop.WarmWorker)
        worker.install_platform_tweaks(worker)
        assert signal.getsignal(number) is warm_stop.stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_signals_to_a_worker_may_interrupt_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_stop, "signals", [])
    monkeypatch.setattr(state, "should_stop", None)
    first, second = (lambda number=n: warm_stop.stop(number, None) for n in (15, 2))
    assert ends_though_interrupted(first, second)
    assert set(warm_stop.signals) == {"SIGTERM", "SIGINT"}
    assert state.should_stop == 0
