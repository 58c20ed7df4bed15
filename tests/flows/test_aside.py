"""What goes on beside the main thread is waited for, whatever is raised there."""

from __future__ import annotations

import signal
import threading

import pytest

from pregao_flows.aside import Aside


def test_it_is_waited_for_also_after_a_signal() -> None:
    """The termination signal is raised where the main thread waits: what was to be ended must still be waited for."""
    go = threading.Event()

    def raised(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, raised)
    try:
        aside = Aside("aside", lambda: go.wait(60) and None)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError):
            aside.join(60)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not aside.join(0.1)
    go.set()
    assert aside.join(60)
    assert aside.error is None


def test_what_it_ended_with_is_kept_for_the_main_thread() -> None:
    def breaks() -> None:
        raise ValueError("broken")

    aside = Aside("aside", breaks)
    assert aside.join(60)
    assert str(aside.error) == "broken"
