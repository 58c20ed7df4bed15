"""Slippage: by how much a market or stop order fills worse than the price that the bars show.

A plan has any number of these models, at most one of each kind, and their fractions of the price add up, each rounded
up to a tick. Limit orders do not slip. No model at all is no slippage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Literal, get_args

from pregao.core.errors import UsageError, unknown
from pregao.core.money import CEIL, decimal_of, percent_to_ppm, round_div
from pregao.simulation.estimators import ABDI_RANALDO, CORWIN_SCHULTZ, NO_SPREAD

WINDOW = 60
"""Bars of a mean, where none are given: estimates of the spread over fewer are mostly noise."""
_MOST_PPM = 100_000
_MOST_WINDOW = 100_000
_MOST_K = 100.0
SpreadMethod = Literal["corwin_schultz", "abdi_ranaldo"]
_METHODS = {"corwin_schultz": CORWIN_SCHULTZ, "abdi_ranaldo": ABDI_RANALDO}


@dataclass(frozen=True, slots=True)
class FixedSlippage:
    """The same share of the price for every order, whatever its size: ``price * (1 ± ppm / 1e6)``.

    Attributes:
        ppm: parts per million of the price, 0 to 100,000 (10 %).
    """

    ppm: int

    def __post_init__(self) -> None:
        _check_whole("slippage in ppm (10,000 is 1 %)", self.ppm, 0, _MOST_PPM)


@dataclass(frozen=True, slots=True)
class HalfSpread:
    """Half of a known bid-ask spread: bars show trades around the middle, an order takes the other side's price.

    ``price * (1 ± ppm / 1e6)`` with ``ppm = 1e6 * (ask - bid) / (ask + bid)``.

    Attributes:
        ppm: half of the spread in parts per million of the price, 0 to 100,000.
    """

    ppm: int

    def __post_init__(self) -> None:
        _check_whole("half spread in ppm (10,000 is 1 %)", self.ppm, 0, _MOST_PPM)


@dataclass(frozen=True, slots=True)
class EstimatedSpread:
    """Half of a spread that is estimated from the highs, lows and closes of the bars so far.

    ``corwin_schultz``: from the ranges of one and of two bars (Corwin and Schultz, Journal of Finance 67, 2012).
    ``abdi_ranaldo``: from closes and mid-ranges (Abdi and Ranaldo, Review of Financial Studies 30, 2017). The formulas
    are in `pregao.simulation.estimators`. Both are made for days of stocks that trade; where the spread is far below
    a bar's volatility (large stocks, large coins) the first overstates it several times and the second is mostly 0:
    give a known spread there. Before two closed bars the estimate is 0.

    Attributes:
        method: one of the two.
        window: bars of the exponentially weighted mean, 1 to 100,000.
    """

    method: SpreadMethod = "corwin_schultz"
    window: int = WINDOW

    def __post_init__(self) -> None:
        if self.method not in get_args(SpreadMethod):
            raise UsageError(
                f"{self.method!r} estimates no spread.", f"Use one of {', '.join(get_args(SpreadMethod))}."
            )
        _check_whole("window of the spread", self.window, 1, _MOST_WINDOW)


@dataclass(frozen=True, slots=True)
class VolumeShare:
    """Impact by the share of the bar's volume that an order takes: ``price * (1 ± k * share**2)``.

    ``share`` is the filled quantity over the volume of the bar in which it fills, at most 1 (and 1 in a bar without
    volume). Source: zipline's ``VolumeShareSlippage``, whose ``price_impact`` is ``k``, 0.1 by default.

    Attributes:
        k: fraction of the price that an order as large as the whole bar moves it, 0 to 100.
    """

    k: float = 0.1

    def __post_init__(self) -> None:
        _check_factor("factor of the volume share", self.k)


@dataclass(frozen=True, slots=True)
class SquareRootImpact:
    """The square-root law of market impact: ``price * (1 ± k * sigma * sqrt(quantity / ADV))``.

    ``sigma`` is the daily volatility and ``ADV`` the average daily volume. With ``n`` bars a day, the volatility
    ``s = sigma / sqrt(n)`` and mean volume ``v = ADV / n`` of a bar, ``n`` cancels::

        sigma * sqrt(quantity / ADV) = s * sqrt(n) * sqrt(quantity / (n * v)) = s * sqrt(quantity / v)

    so bars of any length do. ``s`` and ``v`` are exponentially weighted means over closed bars; before two of them
    the impact is 0. Source: R. Almgren, C. Thum, E. Hauptmann, H. Li, "Direct Estimation of Equity Market Impact",
    Risk 18 (2005), and B. Tóth and others, "Anomalous Price Impact and the Critical Nature of Liquidity in Financial
    Markets", Physical Review X 1 (2011), who find ``k`` close to 1.

    Attributes:
        k: factor without unit, 0 to 100.
        window: bars of the means, 1 to 100,000.
    """

    k: float = 1.0
    window: int = WINDOW

    def __post_init__(self) -> None:
        _check_factor("factor of the square-root impact", self.k)
        _check_whole("window of the impact", self.window, 1, _MOST_WINDOW)


Slippage = FixedSlippage | HalfSpread | EstimatedSpread | VolumeShare | SquareRootImpact

FORMS = {
    "RATE%": "0.02%",
    "spread:RATE%": "spread:0.05%, the full spread",
    "corwin-schultz[:WINDOW]": "corwin-schultz:60",
    "abdi-ranaldo[:WINDOW]": "abdi-ranaldo",
    "volume-share[:K]": "volume-share:0.1",
    "sqrt-impact[:K[:WINDOW]]": "sqrt-impact:1.0",
}
"""What `parse` reads, each with an example."""


def parse(text: str) -> tuple[Slippage, ...]:
    """Read slippage from a command line: terms joined by ``+``, such as ``0.02%+volume-share:0.1``.

    ==========================  ====================================================================
    ``0.02%`` (or ``0.02``)     `FixedSlippage`, per cent of the price
    ``spread:0.05%``            `HalfSpread` of that full spread: half of it, rounded up to 1 ppm
    ``corwin-schultz:60``       `EstimatedSpread` over that many bars (60 if left out)
    ``abdi-ranaldo:60``         likewise
    ``volume-share:0.1``        `VolumeShare` with that factor (0.1)
    ``sqrt-impact:1.0:60``      `SquareRootImpact` with that factor (1) over that many bars (60)
    ``0`` or ``none``           nothing
    ==========================  ====================================================================

    Raises:
        UsageError: naming the term that cannot be read, or that comes twice.
    """
    if text.strip().lower() in ("", "0", "0%", "none"):
        return ()
    models = tuple(_term(part.strip()) for part in text.split("+"))
    encode(models)
    return models


def _term(part: str) -> Slippage:
    name, *values = (piece.strip() for piece in part.lower().replace("_", "-").split(":"))
    if not values and name.startswith(tuple("0123456789.-")):
        return FixedSlippage(percent_to_ppm(name.removesuffix("%"), "The slippage"))
    makers: dict[str, tuple[int, Callable[[list[str]], Slippage]]] = {
        "spread": (1, _half_spread),
        "corwin-schultz": (1, lambda given: EstimatedSpread("corwin_schultz", *_windows(given))),
        "abdi-ranaldo": (1, lambda given: EstimatedSpread("abdi_ranaldo", *_windows(given))),
        "volume-share": (1, lambda given: VolumeShare(*_factors(given))),
        "sqrt-impact": (2, _square_root),
    }
    if name not in makers:
        raise unknown("slippage", part, list(makers), "Or a rate in per cent, as 0.02%.")
    most, make = makers[name]
    if len(values) > most:
        raise UsageError(f"The slippage {part!r} has too many values.", f"Use {_form(name)}.")
    return make(values)


def _half_spread(given: list[str]) -> HalfSpread:
    if not given:
        raise UsageError("The slippage 'spread' lacks its size.", f"Use {_form('spread')}.")
    return HalfSpread(int(round_div(percent_to_ppm(given[0].removesuffix("%"), "The spread"), 2, CEIL)))


def _square_root(given: list[str]) -> SquareRootImpact:
    k = _factors(given[:1] or ["1"])[0]
    return SquareRootImpact(k, *_windows(given[1:]))


def _windows(given: list[str]) -> list[int]:
    for text in given:
        if not text.isascii() or not text.isdigit():
            raise UsageError(f"A window must be a whole number of bars, not {text!r}.")
    return [int(text) for text in given]


def _factors(given: list[str]) -> list[float]:
    return [float(decimal_of(text, "A factor of slippage")) for text in given]


def _form(name: str) -> str:
    return next(f"{form}, as in {example}" for form, example in FORMS.items() if form.startswith(name))


def encode(models: Sequence[Slippage]) -> dict[str, int | float]:
    """The models as the numbers of the kernel's record of rules; all 0 without models.

    ``fixed_ppm``, ``half_spread_ppm``, ``spread_method`` (`estimators.NO_SPREAD`, `CORWIN_SCHULTZ` or
    `ABDI_RANALDO`), ``spread_window``, ``share_k`` (float), ``impact_k`` (float), ``impact_window``.

    Raises:
        UsageError: if there are two models of one kind, or a known and an estimated spread.
    """
    kinds = [type(model) for model in models]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise UsageError(
                f"Slippage has {kinds.count(kind)} models of the kind {kind.__name__}.", "Keep one of them."
            )
    if HalfSpread in kinds and EstimatedSpread in kinds:
        raise UsageError("A spread is either known or estimated, not both.", "Keep one of the two.")
    numbers: dict[str, int | float] = {
        "fixed_ppm": 0, "half_spread_ppm": 0, "spread_method": NO_SPREAD, "spread_window": 0, "share_k": 0.0,
        "impact_k": 0.0, "impact_window": 0,
    }  # fmt: skip
    for model in models:
        match model:
            case FixedSlippage():
                numbers |= {"fixed_ppm": model.ppm}
            case HalfSpread():
                numbers |= {"half_spread_ppm": model.ppm}
            case EstimatedSpread():
                numbers |= {"spread_method": _METHODS[model.method], "spread_window": model.window}
            case VolumeShare():
                numbers |= {"share_k": float(model.k)}
            case SquareRootImpact():
                numbers |= {"impact_k": float(model.k), "impact_window": model.window}
    return numbers


def _check_whole(what: str, number: int, least: int, most: int) -> None:
    if type(number) is not int or not least <= number <= most:
        raise UsageError(f"The {what} must be a whole number from {least:,} to {most:,}, not {number!r}.")


def _check_factor(what: str, k: float) -> None:
    if not isinstance(k, (int, float)) or isinstance(k, (bool, Decimal)) or not isfinite(k) or not 0 <= k <= _MOST_K:
        raise UsageError(f"The {what} must be a number from 0 to {_MOST_K:g}, not {k!r}.")
