"""A strategy whose module does something when it is imported, which goes on for as long as the process lives."""

from __future__ import annotations

import threading

from faulty import Sound

threading.Thread(target=threading.Event().wait, daemon=True, name="watcher").start()


class LeavesAThread(Sound):
    """Its module has a thread of its own."""
