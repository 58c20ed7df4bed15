"""A feature family: formulas that share one compiled step and its state. A feature set is one family or several.

The driver of a step is the same for history and live: ``run`` takes in ``n`` closed bars, and a live bar is ``n = 1``.

    run(state, bar_ns, close_ns, rows, out, at, stride) -> None

- ``state``: float64, shape ``(state_size,)``. All zeros is the beginning, but ``state[1:]`` starts with the family's
  ``parameters``; ``state[0]`` counts the bars taken in.
- ``bar_ns``: the length of a bar.
- ``close_ns``: int64, shape ``(n,)``, ns since 1970 UTC.
- ``rows``: float64, shape ``(n, 5 + s)``: open, high, low, close in ticks, volume, then the columns of the family's
  ``inputs`` in their order. Ticks are below 2**52, so a float holds them exactly.
- ``out``: float64, one-dimensional; feature ``j`` of bar ``i`` goes to ``out[at + i * stride + j]``, NaN where missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

COLUMNS = 5
OPEN, HIGH, LOW, CLOSE, VOLUME = range(COLUMNS)
"""The columns of ``rows``."""

INPUTS: dict[str, int] = {"hours": 2, "market": 2}
"""What a family may ask for beside its instrument's bars, and the columns of it that follow in ``rows``:

- ``hours``: seconds since the trading session opened and seconds that it lasts, NaN outside of one;
- ``market``: the last close of another instrument (see `pregao.features.beside`) in its ticks, and how many bar
  lengths ago that was.
"""


@dataclass(frozen=True, eq=False)
class Family:
    """Features that one compiled step makes together.

    Attributes:
        name: lower case, of the module.
        version: raised whenever values change and the formulas' text does not.
        formulas: feature name -> formula, in the order in which ``run`` writes them.
        warmup: bars until no feature is missing for want of history. From then on the features depend on the last
            ``warmup`` bars alone, to the bit.
        state_size: length of the state.
        run: the compiled driver, see the module.
        inputs: keys of `INPUTS`.
        parameters: what makes this family differ from another of the same ``run``.
    """

    name: str
    version: int
    formulas: dict[str, str]
    warmup: int
    state_size: int
    run: Callable[..., None]
    inputs: tuple[str, ...] = ()
    parameters: tuple[float, ...] = ()
