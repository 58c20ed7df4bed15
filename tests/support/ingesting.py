"""Ingests in processes of their own, to be killed or to run at once."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pregao.market.ingest", "pyarrow.parquet", "exchange_calendars", "dvc.repo"])


def bring(
    home: str, source: str, symbols: list[str], timeframe: str, options: dict[str, object], start_ns: int | None = None
) -> None:
    """One ingest."""
    os.environ["PREGAO_HOME"] = home
    from pregao.settings import settings

    settings.cache_clear()
    from pregao.market.ingest import ingest

    ingest(source, symbols, timeframe, options, start_ns=start_ns)


def ingesting(
    home: str, source: str, symbols: list[str], timeframe: str, options: dict[str, object], start_ns: int | None = None
) -> BaseProcess:
    """A real process that runs one ingest and ends."""
    process = _context.Process(target=bring, args=(home, source, symbols, timeframe, options, start_ns), daemon=True)
    process.start()
    return process
