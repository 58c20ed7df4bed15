"""Work beside a flow's main thread, which can be waited for also after a signal was raised there."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Aside:
    """Does something in a thread of its own.

    Attributes:
        error: with what it ended; None while it goes on, and if it ended well. It is for the main thread to raise.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._work = work
        # Not the thread's own `join`: a signal that is raised there makes Python take the thread to have ended.
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.error = error
        finally:
            self._ended.set()

    def join(self, seconds: float) -> bool:
        """Wait; whether it has ended."""
        return self._ended.wait(seconds)
