"""The terms on which an instrument is traded: the venue's, and how the simulation decides what a bar does not say."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from pregao.core.errors import UsageError, unknown
from pregao.core.money import PPM
from pregao.simulation.actions import Action
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.layout import PATHS
from pregao.simulation.slippage import FixedSlippage, Slippage


@dataclass(frozen=True, slots=True)
class Terms:
    """All rules of a venue and of the simulation for one instrument. Rates in parts per million.

    Attributes:
        fees: what the venue charges.
        slippage: models whose slippage adds up; market and stop orders slip, limits do not.
        path: how a bar's inside is told: ``pessimistic`` (the stop of a bracket first), ``optimistic`` (the profit
            first), ``shortest`` (high first when the close is below the open), ``nearest`` (the extreme nearer to the
            open first), ``ohlc`` (high always first), ``finer`` (by finer bars, each by ``shortest``).
        touch_ppm: chance that a limit which the price only touches fills; 0 means that it must be traded through.
        participation_ppm: the most of a bar's volume that may fill; 0 is no limit.
        latency_ns: times that pass until an order acts, of which one is drawn for each order; empty is none.
        seed: of the drawn latencies and touches.
        contract: ``cash`` (the notional is paid), or ``margin`` (a perpetual: only a margin is locked).
        initial_margin_ppm: locked for a position on margin, and for any short, of the notional.
        maintenance_margin_ppm: a position whose equity falls to this part of its value is liquidated; 0 is never.
        liquidation_fee_ppm: of the notional, on top.
        borrow_ppm: interest a year on the value of a short position, paid each UTC day.
        fill_at_close: market orders fill at the close at which they were decided, not at the next open.
        children_next_bar: the exits of a bracket act from the bar after the entry's.
        levels_from_signal: exits are measured from the close of the signal, not from the fill.
        size_from_signal: entries are sized at the close of the signal, not at the fill.
        limit_gap_at_limit: a limit that the open jumped over fills at its limit, not at the better open.
        stop_gap_at_trigger: a level inside the bar's range fills at the level although the open jumped over it.
        stop_beats_gap: a bar that reaches the stop stops out although it opened beyond the target.
        profit_after_fees: the take profit is what is left after both fees.
        stop_rounds_up: a stop loss between two ticks lies on the upper one, not on the nearest.
        actions: splits, dividends and funding payments, ascending in time.
    """

    fees: FeeSchedule = field(default_factory=FeeSchedule)
    slippage: tuple[Slippage, ...] = ()
    path: str = "pessimistic"
    touch_ppm: int = 0
    participation_ppm: int = 0
    latency_ns: tuple[int, ...] = ()
    seed: int = 0
    contract: Literal["cash", "margin"] = "cash"
    initial_margin_ppm: int = PPM
    maintenance_margin_ppm: int = 0
    liquidation_fee_ppm: int = 0
    borrow_ppm: int = 0
    fill_at_close: bool = False
    children_next_bar: bool = False
    levels_from_signal: bool = False
    size_from_signal: bool = False
    limit_gap_at_limit: bool = False
    stop_gap_at_trigger: bool = False
    stop_beats_gap: bool = False
    profit_after_fees: bool = False
    stop_rounds_up: bool = False
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        if self.path not in PATHS:
            raise unknown("path rule", self.path, list(PATHS))
        if self.contract not in ("cash", "margin"):
            raise UsageError(f"A contract is paid in cash or on margin, not {self.contract!r}.")
        for name, least, most in (
            ("touch_ppm", 0, PPM),
            ("participation_ppm", 0, PPM),
            ("initial_margin_ppm", 1, PPM),
            ("maintenance_margin_ppm", 0, PPM // 2),
            ("liquidation_fee_ppm", 0, PPM // 10),
            ("borrow_ppm", 0, PPM),
        ):
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} must be between {least:,} and {most:,}, not {getattr(self, name)!r}.")
        if self.contract == "margin" and self.maintenance_margin_ppm >= self.initial_margin_ppm:
            raise UsageError(
                f"A maintenance margin of {self.maintenance_margin_ppm / 1e4} % is not below the initial one of "
                f"{self.initial_margin_ppm / 1e4} %.",
                "Such a position would be liquidated at once.",
            )
        if any(not 0 <= latency < 2**53 for latency in self.latency_ns):
            raise UsageError("A latency is a time in ns that is not negative.")

    @property
    def fixed_slippage_ppm(self) -> int:
        """Slippage of the model `FixedSlippage`; 0 without it."""
        return sum(model.ppm for model in self.slippage if isinstance(model, FixedSlippage))

    def dearer(self, factor: int) -> Terms:
        """The same terms with ``factor`` times the fees by rate and the fixed slippage: to see what costs do."""
        fees = replace(
            self.fees,
            maker_ppm=factor * self.fees.maker_ppm,
            taker_ppm=factor * self.fees.taker_ppm,
            tiers=tuple(
                replace(t, maker_ppm=factor * t.maker_ppm, taker_ppm=factor * t.taker_ppm) for t in self.fees.tiers
            ),
        )
        slippage = tuple(
            replace(model, ppm=factor * model.ppm) if isinstance(model, FixedSlippage) else model
            for model in self.slippage
        )
        return replace(self, fees=fees, slippage=slippage)


PROFILES: dict[str, Terms] = {
    "realistic": Terms(participation_ppm=100_000),
    "backtesting_py": Terms(touch_ppm=PPM, levels_from_signal=True, size_from_signal=True, stop_beats_gap=True),
    "vectorbt": Terms(touch_ppm=PPM, size_from_signal=True, children_next_bar=True, stop_beats_gap=True),
    "backtrader": Terms(
        touch_ppm=PPM, levels_from_signal=True, size_from_signal=True, children_next_bar=True, stop_beats_gap=True
    ),
    "nautilus": Terms(
        path="ohlc", touch_ppm=PPM, fill_at_close=True, levels_from_signal=True, size_from_signal=True,
        limit_gap_at_limit=True,
    ),
    "jesse": Terms(
        path="shortest", touch_ppm=PPM, fill_at_close=True, levels_from_signal=True, size_from_signal=True
    ),
    "freqtrade": Terms(
        stop_gap_at_trigger=True, stop_beats_gap=True, profit_after_fees=True, stop_rounds_up=True
    ),
}  # fmt: skip
"""Named sets of rules: our own, and the rivals', so that the engine can be held against each of them."""


def profile(name: str, **changes: object) -> Terms:
    """The terms of a profile, with changes by the names of `Terms`; raises `UsageError` for an unknown name."""
    if name not in PROFILES:
        raise unknown("fill profile", name, list(PROFILES))
    known = {f.name for f in fields(Terms)}
    for key in changes:
        if key not in known:
            raise unknown("field of the terms", key, sorted(known))
    return replace(PROFILES[name], **changes)  # type: ignore[arg-type]
