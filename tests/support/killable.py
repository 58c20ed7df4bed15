"""A session run in a process of its own, to be killed."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pregao.sessions.runtime", "pregao.learning", "warm_engine"])


def live(home: str, url: str, session_id: str) -> None:
    """Run a session to its end."""
    os.environ["PREGAO_HOME"] = home
    os.environ["PREGAO_DATABASE_URL"] = url
    from pregao.settings import settings

    settings.cache_clear()
    from pregao.sessions.journal import Journal
    from pregao.sessions.runtime import run
    from pregao.sessions.writer import FencedError

    try:
        run(session_id, Journal(url))
    except FencedError:
        os._exit(3)


def runner(home: str, url: str, session_id: str) -> BaseProcess:
    """A real process that runs a session; its exit code is 3 if another one took the session over."""
    process = _context.Process(target=live, args=(home, url, session_id), daemon=True)
    process.start()
    return process
