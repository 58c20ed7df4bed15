"""Waiting in tests for what another thread or process is to bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait(true: Callable[[], Any], seconds: float = 90) -> None:
    """Until something is true; it is an error if that takes longer than ``seconds``."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.01)
