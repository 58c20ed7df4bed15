"""How much memory this process and all that it started take together, at most."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType

import psutil

from pregao.operations.processes import family_of

SAMPLE_SECONDS = 2.0


class Footprint:
    """Samples while entered. ``peak`` is in bytes: resident memory, pages that several processes share counted in
    each one's proportion where the system tells it."""

    def __init__(self) -> None:
        self.peak = 0
        self._highest = 0
        self._done = Event()
        self._thread = Thread(target=self._sample, name="footprint", daemon=True)

    def __enter__(self) -> Footprint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._done.wait(SAMPLE_SECONDS):
            family = family_of(me)
            resident = sum(memory(process, shared=False) for process in family)
            # The kernel walks all pages to tell the shares: asked only when it may be a new peak.
            if resident > self._highest:
                self._highest = resident
                self.peak = max(self.peak, sum(memory(process, shared=True) for process in family))


def memory(process: psutil.Process, *, shared: bool) -> int:
    """Memory of one process in bytes, with ``shared`` pages in proportion; 0 if it has ended."""
    try:
        if shared:
            return int(getattr(process.memory_full_info(), "pss", 0)) or int(process.memory_info().rss)
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return memory(process, shared=False) if shared else 0
