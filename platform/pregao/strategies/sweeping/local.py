"""A sweep on this machine: in this process alone, or in several that share the bars in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pregao.core.bars import COLUMNS, Bars
from pregao.core.errors import PregaoError
from pregao.spreading import START, KilledError, spread
from pregao.strategies.sweeping.runs import Market, Row, Runner, Sweep

_AHEAD = 3
"""Chunks waiting for each process."""
_PARTS = 8
"""Chunks for each process, at least: enough that none waits long for the last."""
_COLUMNS = ("open_ns", *COLUMNS, "volume")
_SERIES = ("bars", "before", "finer")

_runner: Runner | None = None


def run(sweep: Sweep, runs: list[int], jobs: int, start: str = START) -> Iterator[list[Row]]:
    """Make runs; their rows a few at a time, as they are made.

    Args:
        runs: their numbers.
        jobs: processes; with 1 all is done in this one.
        start: ``fork`` or ``spawn``, see `multiprocessing`.

    Raises:
        PregaoError: if a process dies; rows that were given out are not touched by that.
    """
    chunks = sweep.chunks(runs, _PARTS * jobs if jobs > 1 else 1)
    if jobs <= 1 or len(chunks) == 1:
        runner = Runner(sweep)
        for chunk in chunks:
            yield runner.chunk(chunk)
        return
    if start == "fork":
        # What the first run compiles or loads, the processes inherit.
        yield Runner(sweep).chunk(chunks[0][:1])
        chunks[0] = chunks[0][1:]
        yield from _spread(sweep, chunks, jobs, start)
        return
    with tempfile.TemporaryDirectory(prefix="pregao-sweep-") as folder:
        yield from _spread(_Shelf(sweep, Path(folder)), chunks, jobs, start)


def _spread(sweep: Sweep | _Shelf, chunks: list[list[int]], jobs: int, start: str) -> Iterator[list[Row]]:
    tasks = [(chunk,) for chunk in chunks]
    try:
        yield from spread(_chunk, tasks, jobs, _begin, (sweep,), ahead=_AHEAD, start=start)
    except KilledError:
        raise PregaoError(
            "A process of the sweep was killed, perhaps for want of memory.",
            "Run the same command again, with fewer --jobs: what is in --out is kept.",
        ) from None


def _begin(sweep: Sweep | _Shelf) -> None:
    global _runner
    _runner = Runner(sweep.open() if isinstance(sweep, _Shelf) else sweep)


def _chunk(runs: list[int]) -> list[Row]:
    assert _runner is not None
    return _runner.chunk(runs)


class _Mapped:
    """Bars in ``.npy`` files: pickled as their place, and opened without being read."""

    def __init__(self, bars: Bars, folder: Path) -> None:
        self._of = bars.instrument, bars.timeframe
        self._folder = folder
        folder.mkdir()
        for name in _COLUMNS:
            np.save(folder / f"{name}.npy", getattr(bars, name))

    def open(self) -> Bars:
        """The bars; processes that open them share their memory."""
        columns = (np.load(self._folder / f"{name}.npy", mmap_mode="c") for name in _COLUMNS)
        return Bars(*self._of, *columns)


class _Shelf:
    """A sweep whose bars lie in a folder, for processes that are not forked."""

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self._space, self._seed = sweep.space, sweep.seed
        self._markets: list[tuple[_Series, _Series, dict[str, Any]]] = []
        for i, market in enumerate(sweep.markets):
            series = {name: bars for name in _SERIES if (bars := getattr(market, name)) is not None}
            mapped = {name: _Mapped(bars, folder / f"{i}-{name}") for name, bars in series.items()}
            others = {name: _Mapped(bars, folder / f"{i}-other-{name}") for name, bars in market.others.items()}
            self._markets.append((mapped, others, {"plan": dict(market.plan), "model": market.model}))

    def open(self) -> Sweep:
        """The sweep again."""
        markets = (Market(**_opened(mapped), others=_opened(others), **rest) for mapped, others, rest in self._markets)
        return Sweep(self._space, tuple(markets), self._seed)


_Series = dict[str, _Mapped]


def _opened(series: _Series) -> dict[str, Any]:
    return {name: bars.open() for name, bars in series.items()}
