"""How often each path rule takes the right exit of a bracket, held against the one-minute bars within each bar.

One-minute bars are joined to bars of 15 minutes and of an hour. At the open of each of these a trade is entered, long
and short, with brackets of several widths and no costs; each path rule says how it ends, by the engine's own step. The
truth is the same trade on the minutes: same entry, same exits. Where one minute reaches both exits, nothing tells the
truth, and the trade is counted and left out.

    python benchmarks/path_rules_against_minutes.py [--data FILE.parquet] [--tick 1] [--json]

The file has the columns ``timestamp`` (open time, UTC), ``open high low close volume``. A minute with a price off the
tick was not traded but made up to fill a gap: the bars around it are left out. Without a file, a random walk is used.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import COLUMNS, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.outcomes import Outcomes, bracket_outcomes
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms

MINUTE = Timeframe.parse("1m")
TIMEFRAMES = ("15m", "1h")
BRACKETS = (("0.3", "0.3"), ("0.5", "0.25"), ("0.25", "0.5"), ("1", "0.5"), ("0.5", "1"))
"""Take profit and stop loss in per cent of the entry."""
SIDES = (layout.ENTER_LONG, layout.ENTER_SHORT)
RULES = {path: path for path in layout.PATHS} | {"finer 5m": "finer"}
"""What is tried, and the path rule that it uses: ``finer`` is told the minutes, ``finer 5m`` bars of five of them."""
WALKED = ("shortest", "nearest", "ohlc")
"""The path rules that say which extreme of a bar came first."""


def coin(tick: Decimal) -> Instrument:
    """What is traded: finely divisible, so that every trade puts in nearly the same."""
    return Instrument(
        symbol="BTC-PERP", source="benchmark", venue="benchmark", asset_class="crypto", base="BTC", quote="USD",
        tick_size=tick, lot_size=Decimal("0.000001"), allow_short=True,
    )  # fmt: skip


def random_walk(n: int = 43_200, seed: int = 1, jumps: float = 0.1, step: float = 8) -> Bars:
    """Minutes, each a walk of 20 steps of about ``step`` ticks; a part ``jumps`` opens away from the close before."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, step, (n, 21))
    steps[:, 0] = np.where(rng.random(n) < jumps, rng.normal(0, 5, n), 0)
    walk = np.rint(np.maximum(40_000 + np.cumsum(steps), 1)).astype(np.int64).reshape(n, 21)
    times = np.arange(n, dtype=np.int64) * MINUTE.ns
    columns = (walk[:, 0], walk.max(axis=1), walk.min(axis=1), walk[:, -1])
    return Bars(coin(Decimal(1)), MINUTE, times, *columns, np.ones(n))


def read(path: Path, tick: Decimal) -> Bars:
    """The minutes of a Parquet file that were traded.

    Raises:
        UsageError: if it cannot be read, its columns are others, its bars are not of a minute, or the tick is wrong.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a Parquet file that can be read.", "Give one of one-minute bars.") from error
    missing = [c for c in ("timestamp", *COLUMNS, "volume") if c not in frame.columns]
    if missing:
        raise UsageError(f"{path.name} lacks the columns {', '.join(missing)}.")
    price = frame[list(COLUMNS)].to_numpy(np.float64)
    whole = np.rint(price / float(tick)) * float(tick)
    off = np.abs(price - whole) > 4 * np.spacing(price)
    traded = frame[~off.any(axis=1)]
    if len(traded) < 0.99 * len(frame):
        raise UsageError(
            f"{len(frame) - len(traded):,} of the {len(frame):,} bars in {path.name} have prices off the tick {tick}.",
            "Give the venue's tick size with --tick.",
        )
    return Bars.from_frame(traded, coin(tick), MINUTE)


class Joined(NamedTuple):
    """Whole bars, and the minutes within them: those of bar ``i`` are ``minutes[i * size : (i + 1) * size]``."""

    bars: Bars
    minutes: Bars
    size: int

    @property
    def fives(self) -> Bars:
        """The same minutes as bars of five."""
        return join(self.minutes, Timeframe.parse("5m")).bars


def join(minutes: Bars, timeframe: Timeframe) -> Joined:
    """Bars of minutes, exactly; a bar that lacks one of its minutes is left out with the rest of them.

    Raises:
        UsageError: if there are fewer than two whole bars.
    """
    size = timeframe.ns // MINUTE.ns
    starts, first, count = np.unique(minutes.open_ns // timeframe.ns, return_index=True, return_counts=True)
    whole = count == size
    if whole.sum() < 2:
        raise UsageError(f"{len(minutes):,} minutes make {whole.sum()} whole {timeframe} bars; at least 2 are needed.")
    rows = (first[whole, None] + np.arange(size)).ravel()
    within = Bars(
        minutes.instrument, MINUTE, *(getattr(minutes, name)[rows] for name in ("open_ns", *COLUMNS, "volume"))
    )
    high, low, volume = (getattr(within, name).reshape(-1, size) for name in ("high", "low", "volume"))
    bars = Bars(
        minutes.instrument, timeframe, starts[whole] * timeframe.ns, within.open[::size], high.max(axis=1),
        low.min(axis=1), within.close[size - 1 :: size], volume.sum(axis=1),
    )  # fmt: skip
    return Joined(bars, within, size)


@dataclass(frozen=True)
class Order:
    """Of the bars whose extremes lie in different minutes: how often a rule says which came first, and is right."""

    bars: int
    right: float


def extremes(joined: Joined) -> dict[str, Order]:
    """How often each rule orders a bar's extremes right."""
    bars, size = joined.bars, joined.size
    highest = np.argmax(joined.minutes.high.reshape(-1, size), axis=1)
    lowest = np.argmin(joined.minutes.low.reshape(-1, size), axis=1)
    known = highest != lowest
    says = {
        "shortest": bars.close < bars.open,
        "nearest": bars.high - bars.open <= bars.open - bars.low,
        "ohlc": np.ones(len(bars), np.bool_),
    }
    right = {rule: says[rule] == (highest < lowest) for rule in WALKED}
    return {rule: Order(int(known.sum()), float(right[rule][known].mean())) for rule in WALKED}


class Pair(NamedTuple):
    """The same trades as a path rule ends them and as they truly ended, shape ``(n,)`` each.

    Attributes:
        known: those of which the truth is known and that have ended.
        unknown: how many ended in a minute that reached both exits.
        moved: those that truly ended at the open of a minute within the bar that had jumped over the exit.
    """

    rule: Outcomes
    truth: Outcomes
    known: NDArray[np.bool_]
    unknown: int
    moved: NDArray[np.bool_]


def pair(joined: Joined, plan: Plan, side: int, name: str, truth: Outcomes | None = None) -> Pair:
    """Every trade of a bracket by one of `RULES` and in truth (see `true_outcomes`)."""
    truth = true_outcomes(joined, plan, side) if truth is None else truth
    terms = replace(plan.terms, path=RULES[name])
    finer = {"finer": joined.minutes, "finer 5m": joined.fives}.get(name)
    rule = bracket_outcomes(joined.bars, replace(plan, terms=terms), side, finer)
    ended = ~np.isnan(rule.net)
    assert np.array_equal(ended, ~np.isnan(truth.net)), "a trade ends by the rule or in truth only"
    assert np.array_equal(rule.end[ended], truth.end[ended] // joined.size), "a trade ends in another bar"
    moved = (truth.rule == layout.AT_GAP) & (truth.end % joined.size != 0)
    known = ended & (truth.ambiguous == 0)
    return Pair(rule, truth, known, int((ended & ~known).sum()), moved)


def true_outcomes(joined: Joined, plan: Plan, side: int) -> Outcomes:
    """The trades on the minutes: those that are decided in the last minute of each bar."""
    fine = replace(plan, timeframe=MINUTE, terms=replace(plan.terms, path="shortest"))
    found = bracket_outcomes(joined.minutes, fine, side)
    last = slice(joined.size - 1, None, joined.size)
    return Outcomes(**{name: column[last] for name, column in vars(found).items()})


@dataclass(frozen=True)
class Figures:
    """A path rule on one timeframe. Money in per cent of what was put in.

    Attributes:
        group: which trades: ``all``, ``long``, ``short``, or those of a bracket (take profit/stop loss in per cent).
        trades: of which the truth is known; ``unknown`` are those of which it is not.
        ambiguous: whose bar reached both exits; ``ambiguous_bars`` is how many bars these are.
        right, right_ambiguous: part of the trades, and of the ambiguous ones, with the true exit.
        pnl, true_pnl: mean a trade.
        error, absolute_error: mean of the rule's less the true one, and of its size; ``error_ambiguous`` of the
            ambiguous trades only.
        total_error: sum of the errors, of what one trade puts in.
        within: part of the trades whose true result lies within the engine's bounds; ``within_ambiguous`` of those.
        moved: trades that truly ended at a price that had jumped over the exit within the bar.
        within_unmoved: as ``within``, without those.
        farthest: the most by which a true result lies outside the bounds.
    """

    timeframe: str
    group: str
    path: str
    trades: int
    unknown: int
    ambiguous: int
    ambiguous_bars: int
    right: float
    right_ambiguous: float
    pnl: float
    true_pnl: float
    error: float
    absolute_error: float
    error_ambiguous: float
    total_error: float
    within: float
    within_ambiguous: float
    moved: int
    within_unmoved: float
    farthest: float


def outside(pair: Pair) -> NDArray[np.float64]:
    """By how much of what was put in the true result lies outside the engine's bounds."""
    below, above = pair.rule.worst - pair.truth.net, pair.truth.net - pair.rule.best
    return np.maximum(np.maximum(below, above), 0)


def figures(timeframe: str, group: str, path: str, pairs: list[Pair], both: list[NDArray[np.int64]]) -> Figures:
    """What came of several brackets and sides.

    Args:
        both: of each pair, 1 where the bar of the end reached both exits, shape ``(n,)``.
    """

    def every(columns: list[NDArray]) -> NDArray:
        return np.concatenate([c[p.known] for c, p in zip(columns, pairs, strict=True)])

    def mean(values: NDArray) -> float:
        return float(values.mean()) if len(values) else float("nan")

    twice = every(both) == 1
    right = every([p.rule.role == p.truth.role for p in pairs])
    net, true = every([p.rule.net for p in pairs]), every([p.truth.net for p in pairs])
    far, moved = every([outside(p) for p in pairs]), every([p.moved for p in pairs])
    within = far < 1e-10
    error = 100 * (net - true)
    return Figures(
        timeframe, group, path,
        trades=len(right), unknown=sum(p.unknown for p in pairs), ambiguous=int(twice.sum()),
        ambiguous_bars=len(np.unique(every([p.rule.end for p in pairs])[twice])),
        right=mean(right), right_ambiguous=mean(right[twice]), pnl=100 * mean(net), true_pnl=100 * mean(true),
        error=mean(error), absolute_error=mean(np.abs(error)), error_ambiguous=mean(error[twice]),
        total_error=float(error.sum()), within=mean(within), within_ambiguous=mean(within[twice]),
        moved=int(moved.sum()), within_unmoved=mean(within[~moved]),
        farthest=100 * float(far.max(initial=0)),
    )  # fmt: skip


def plan_of(joined: Joined, bracket: tuple[str, str]) -> Plan:
    """A bracket without costs, so that nothing but the path makes a difference."""
    return Plan.of(
        joined.bars.instrument, joined.bars.timeframe, cash=1_000_000, entry_value=1_000, take_profit=bracket[0],
        stop_loss=bracket[1], terms=Terms(),
    )  # fmt: skip


def study(minutes: Bars, timeframe: str, brackets: tuple[tuple[str, str], ...] = BRACKETS) -> list[Figures]:
    """All path rules on one timeframe, for each group of trades (see `Figures`).

    A long trade and the short one with the same levels are each other's mirror, so that the errors of rules that do not
    know the trader's side cancel over both sides; each side's own are told too.
    """
    joined = join(minutes, Timeframe.parse(timeframe))
    plans = [(plan_of(joined, bracket), side) for bracket in brackets for side in SIDES]
    truths = [true_outcomes(joined, plan, side) for plan, side in plans]
    pairs = {
        path: [pair(joined, plan, side, path, truth) for (plan, side), truth in zip(plans, truths, strict=True)]
        for path in RULES
    }
    both = [p.rule.ambiguous for p in pairs["pessimistic"]]
    groups = {"all": slice(None), "long": slice(0, None, 2), "short": slice(1, None, 2)}
    groups |= {"/".join(bracket): slice(2 * k, 2 * k + 2) for k, bracket in enumerate(brackets)}
    return [
        figures(timeframe, group, path, pairs[path][rows], both[rows])
        for group, rows in groups.items()
        for path in RULES
    ]


def share(part: float) -> str:
    """A part in per cent; a dash for a part of nothing."""
    return "-" if math.isnan(part) else f"{part:.1%}"


def table(timeframe: str, found: list[Figures], order: dict[str, Order]) -> str:
    """The figures of one timeframe as text."""
    of = {(f.group, f.path): f for f in found if f.timeframe == timeframe}
    one = of["all", "pessimistic"]
    lines = [
        f"{timeframe} bars: {one.trades:,} trades, {one.ambiguous:,} of them ambiguous, in {one.ambiguous_bars:,} "
        f"bars; {one.unknown:,} more ended in a minute that reached both exits",
        f"  true result {one.true_pnl:+.4f} % a trade (long {of['long', 'finer'].true_pnl:+.4f}, "
        f"short {of['short', 'finer'].true_pnl:+.4f}); {one.moved:,} trades ended where a minute jumped over the exit,"
        f" up to {one.farthest:.4f} % outside the bounds",
        "",
        f"  {'':<12} {'right exit':^17} {'error a trade, %':^33} {'sum of':>9} {'true within bounds':^27}",
        f"  {'rule':<12} {'all':>8} {'ambig.':>8} {'absolute':>8} {'mean':>8} {'long':>8} {'short':>8}"
        f" {'errors':>8} {'all':>9} {'ambig.':>8} {'no jump':>8}",
    ]
    for path in RULES:
        f = of["all", path]
        lines.append(
            f"  {path:<12} {f.right:>8.2%} {share(f.right_ambiguous):>8} {f.absolute_error:>8.4f} {f.error:>+8.4f}"
            f" {of['long', path].error:>+8.4f} {of['short', path].error:>+8.4f} {f.total_error:>+8.1f}"
            f" {f.within:>9.2%} {share(f.within_ambiguous):>8} {f.within_unmoved:>8.2%}"
        )
    lines += ["", "  right exit of the ambiguous trades, by take profit/stop loss"]
    lines.append(f"  {'':<10} {'trades':>7} {'ambig.':>7}" + "".join(f" {path:>11}" for path in RULES))
    for group in dict.fromkeys(group for group, _ in of if "/" in group):
        one = of[group, "pessimistic"]
        told = "".join(f" {share(of[group, path].right_ambiguous):>11}" for path in RULES)
        lines.append(f"  {group:<10} {one.trades:>7,} {one.ambiguous:>7,}{told}")
    told = ", ".join(f"{rule} {it.right:.1%}" for rule, it in order.items())
    lines += ["", f"  which extreme of a bar came first, right in {told} of {order['shortest'].bars:,} bars", ""]
    return "\n".join(lines)


def main() -> int:
    """Study the bars and tell the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FILE", help="Parquet of one-minute bars; default: a random walk")
    parser.add_argument("--tick", default="1", help="tick size of the prices in the file (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    given = parser.parse_args()
    try:
        minutes = random_walk() if given.data is None else read(given.data, tick_of(given.tick))
        found = [f for timeframe in TIMEFRAMES for f in study(minutes, timeframe)]
        order = {name: extremes(join(minutes, Timeframe.parse(name))) for name in TIMEFRAMES}
    except PregaoError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    source = "random walk" if given.data is None else given.data.name
    if given.json:
        print(json.dumps({
            "source": source, "minutes": len(minutes), "figures": [valued(asdict(f)) for f in found],
            "extremes": {name: {rule: valued(asdict(o)) for rule, o in rules.items()} for name, rules in order.items()},
        }, indent=2))  # fmt: skip
        return 0
    print(f"{source}: {len(minutes):,} minutes. Money in per cent of what one trade puts in, without costs.\n")
    for timeframe in TIMEFRAMES:
        print(table(timeframe, found, order[timeframe]))
    return 0


def valued(figures: dict[str, object]) -> dict[str, object]:
    """Figures for JSON, which has no NaN: what has no value is null."""
    return {name: None if value != value else value for name, value in figures.items()}


def tick_of(text: str) -> Decimal:
    """A tick size; raises `UsageError` if it is not a positive number."""
    try:
        tick = Decimal(text)
    except InvalidOperation:
        tick = Decimal(0)
    if not tick.is_finite() or tick <= 0:
        raise UsageError(f"The tick size is a positive number, not {text!r}.")
    return tick


if __name__ == "__main__":
    sys.exit(main())
