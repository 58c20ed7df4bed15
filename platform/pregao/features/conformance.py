"""The conformance kit of feature sets: what every set must keep, as tests that pytest finds in a subclass.

    from pregao.features.conformance import FeatureConformance

    class TestMine(FeatureConformance):
        features = "mine"

The set is found by its name, as a strategy's ``feature_set`` or ``params.yaml`` name it. All of its features are held
to all of it; what their values ought to be is for tests of your own.
"""
# ruff: noqa: D102  # the name of a test says what it holds the set to

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import cache, partial
from typing import ClassVar

import numpy as np

from pregao.core.bars import COLUMNS, Bar, Bars
from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FeatureSet, FeatureStream, feature_set
from pregao.features.stream import Floats, Ints

CUTS = 32
_DAY = 86_400
_OPENS, _CLOSES = 13 * 3_600 + 1_800, 20 * 3_600
_WITHOUT_COMPILER = """
import sys
from pregao.features.conformance import made, market
from pregao.features.sets import feature_set
sys.stdout.buffer.write(made(feature_set(sys.argv[1]), market(int(sys.argv[2]))).tobytes())
"""


def hours(open_ns: Ints, close_ns: Ints) -> Floats:
    """Trading hours for tests: each day from 13:30 to 20:00 UTC."""
    second = close_ns // 10**9 % _DAY
    inside = (second > _OPENS) & (second <= _CLOSES)
    table = np.column_stack([second - _OPENS, np.full(len(second), _CLOSES - _OPENS)])
    return np.where(inside[:, None], table.astype(np.float64), np.nan)


@cache
def market(n: int, seed: int = 1) -> Bars:
    """A seeded walk of 15-minute bars with all that happens: gaps, bars without range or volume, stretches that stand
    still, jumps."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.004, n) * (rng.random(n) > 0.05) * np.where(rng.random(n) > 0.995, 20, 1)
    moves[n // 3 : n // 3 + 12] = 0.0
    close = np.maximum(np.rint(30_000 * np.exp(np.cumsum(moves))), 1).astype(np.int64)
    opened = np.maximum(np.r_[close[0], close[:-1]] + rng.integers(-5, 6, n), 1)
    high = np.maximum(opened, close) + rng.integers(0, 40, n)
    low = np.maximum(np.minimum(opened, close) - rng.integers(0, 40, n), 1)
    volume = np.rint(rng.lognormal(3, 1, n) * 1e4) / 1e4 * (rng.random(n) > 0.01)
    for column in (opened, high, low):
        column[::10] = close[::10]
    timeframe = Timeframe.parse("15m")
    skipped = rng.integers(1, 30, n) * (rng.random(n) > 0.98)
    at = 1_600_000_200 * 10**9 + (np.arange(n) + np.cumsum(skipped)) * timeframe.ns
    instrument = Instrument(
        symbol="TEST/USDT", source="test", venue="test", asset_class="crypto", base="TEST", quote="USDT",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"),
    )  # fmt: skip
    return Bars(instrument, timeframe, at, opened, high, low, close, volume)


def other_market(bars: Bars) -> Bars:
    """Bars of another instrument over the same time, with gaps of its own, one of them long."""
    span = int(bars.open_ns[-1] - bars.open_ns[0]) // bars.timeframe.ns + 1
    full = market(span, seed=77)
    at = bars.open_ns[0] + np.arange(span) * bars.timeframe.ns
    keep = np.random.default_rng(5).random(span) > 0.1
    keep[span // 2 : span // 2 + 90] = False
    columns = (getattr(full, name)[keep] for name in (*COLUMNS, "volume"))
    return Bars(full.instrument, bars.timeframe, at[keep], *columns)


def made(features: FeatureSet, bars: Bars, other: Bars | None = None) -> Floats:
    """The features of these bars, with other instruments' bars and hours for those sets that ask for them."""
    if len(bars) == 0:
        return np.empty((0, len(features.names)))
    other = other_market(bars) if other is None else other
    return features.batch(bars, dict.fromkeys(features.others, other), hours)


def streamed(stream: FeatureStream, bars: Bars, other: Bars) -> Floats:
    """The same, bar by bar, each of the other instrument's bars given as soon as it has closed."""
    rows, given = [], 0
    for i in range(len(bars)):
        bar = bars.bar(i)
        while given < len(other) and other.open_ns[given] + other.timeframe.ns <= bar.close_ns:
            for name in stream.features.others:
                stream.observe(name, other.bar(given))
            given += 1
        rows.append(stream.update(bar))
    return np.array(rows).reshape(len(bars), len(stream.features.names))


def joined(before: Bars, after: Bars) -> Bars:
    """Two series, one after the other."""
    columns = (np.concatenate([getattr(b, c) for b in (before, after)]) for c in ("open_ns", *COLUMNS, "volume"))
    return Bars(before.instrument, before.timeframe, *columns)


def futures(bars: Bars, seed: int) -> list[Bars]:
    """Other bars in the place of these, at the same times: another market's, flat ones, extreme ones."""
    n = len(bars)
    another = market(n, seed=1_000 + seed)
    wild = np.random.default_rng(seed).lognormal(20, 5, n)

    def at_these_times(*columns: np.ndarray) -> Bars:
        return Bars(bars.instrument, bars.timeframe, bars.open_ns, *columns)

    return [
        at_these_times(*(getattr(another, name) for name in COLUMNS), another.volume),
        at_these_times(*[np.full(n, 7)] * 4, np.zeros(n)),
        at_these_times(*(np.full(n, ticks) for ticks in (5, 2**51, 1, 2**50)), np.minimum(wild, 8e11)),
    ]


class FeatureConformance:
    """What every feature set must keep.

    Attributes:
        features: its name.
    """

    features: ClassVar[str]

    @property
    def set(self) -> FeatureSet:
        return feature_set(self.features)

    @property
    def bars(self) -> Bars:
        """Enough to be warm for as long again."""
        return market(2 * self.set.warmup + 300)

    @property
    def other(self) -> Bars:
        return other_market(self.bars)

    @property
    def batch(self) -> Floats:
        return made(self.set, self.bars, self.other)

    def begin(self) -> FeatureStream:
        return self.set.stream(self.bars.timeframe.seconds, hours)

    def test_each_feature_has_a_name_of_its_own_and_a_formula(self) -> None:
        families = [name for family in self.set.families for name in family.formulas]
        assert len(families) == len(set(families)) == len(self.set.names)
        assert all(formula.strip() for formula in self.set.formulas.values())
        assert len(self.set.hash) == 64

    def test_each_feature_has_values_that_differ_and_none_is_infinite(self) -> None:
        batch = self.batch
        assert batch.shape == (len(self.bars), len(self.set.names))
        assert batch.dtype == np.float64
        assert not np.isinf(batch).any()
        warm = batch[self.set.warmup - 1 :]
        constant = [n for n, x in zip(self.set.names, warm.T, strict=True) if len(np.unique(x[~np.isnan(x)])) < 2]
        assert constant == []

    def test_flat_and_extreme_bars_have_no_infinite_value(self) -> None:
        bars = self.bars
        half = len(bars) // 2
        for future in futures(bars[half:], 1):
            assert not np.isinf(made(self.set, joined(bars[:half], future), self.other)).any()

    def test_what_has_no_value_for_want_of_history_is_missing_and_not_zero(self) -> None:
        """Where the first bar alone already has a value, it is the value that this bar has after any history."""
        bars = self.bars
        first = made(self.set, bars[:1], self.other)[0]
        later = made(self.set, joined(bars[50:300], bars[300:301]), self.other)[-1]
        alone = made(self.set, bars[300:301], self.other)[0]
        given = ~np.isnan(alone)
        assert np.isnan(first[~given]).all() or not given.all()
        assert alone[given].tobytes() == later[given].tobytes()

    def test_bar_by_bar_gives_what_the_batch_gives(self) -> None:
        assert streamed(self.begin(), self.bars, self.other).tobytes() == self.batch.tobytes()

    def test_pieces_give_what_the_whole_gives(self) -> None:
        bars, stream = self.bars, self.begin()
        ends = [0, 1, 2, 40, 41, len(bars) // 2, len(bars)]
        others = [self.other if i == 0 else None for i in range(len(ends))]
        rows = [
            stream.extend(bars[a:b], dict.fromkeys(self.set.others, o) if o is not None else None)
            for a, b, o in zip(ends, ends[1:], others, strict=False)
        ]
        assert np.concatenate(rows).tobytes() == self.batch.tobytes()

    def test_started_anywhere_it_is_equal_once_warm(self) -> None:
        bars, batch, warm = self.bars, self.batch, self.set.warmup - 1
        for start in (1, 17, 64, 150, 201, 299):
            other = self.other.between(int(bars.open_ns[start]), None)
            late = made(self.set, bars[start:], other)
            assert late[warm:].tobytes() == batch[start + warm :].tobytes()

    def test_the_past_does_not_see_the_future(self) -> None:
        bars, other, batch = self.bars, self.other, self.batch
        n = len(bars)
        for i, cut in enumerate(np.random.default_rng(3).integers(1, n - 1, CUTS).tolist()):
            now = int(bars.close_ns[cut - 1])
            known = int(np.searchsorted(other.close_ns, now, side="right"))
            assert made(self.set, bars[:cut], other[:known]).tobytes() == batch[:cut].tobytes()
            for future, else_where in zip(futures(bars[cut:], i), futures(other[known:], i + 500), strict=True):
                other_known = joined(other[:known], else_where)
                seen = made(self.set, joined(bars[:cut], future), other_known)[:cut]
                assert seen.tobytes() == batch[:cut].tobytes()

    def test_saved_and_restored_anywhere_it_goes_on_alike(self) -> None:
        bars, batch = self.bars, self.batch
        for cut in (0, 1, 13, 64, self.set.warmup, len(bars) - 40):
            stream = self.begin()
            now = int(bars.close_ns[cut - 1]) if cut else 0
            known = int(np.searchsorted(self.other.close_ns, now, side="right"))
            streamed(stream, bars[:cut], self.other[:known])
            raw = stream.to_bytes()
            streamed(stream, futures(bars[cut : cut + 5], cut)[2], self.other[:0])  # it shares nothing with the other
            again = self.begin()
            again.from_bytes(raw)
            assert again.to_bytes() == raw
            end = min(cut + 40, len(bars))
            assert streamed(again, bars[cut:end], self.other[known:]).tobytes() == batch[cut:end].tobytes()

    def test_damaged_or_foreign_state_is_refused_and_changes_nothing(self) -> None:
        stream = self.begin()
        for i in range(5):
            stream.update(self.bars.bar(i))
        raw = stream.to_bytes()
        minute = self.set.stream(60, hours).to_bytes()
        for bad in (raw[:-1], raw[: len(raw) // 2], b"", b"x" * len(raw), raw + b"0", minute):
            try:
                stream.from_bytes(bad)
            except PregaoError:
                assert stream.to_bytes() == raw
            else:
                raise AssertionError("a damaged state was taken")

    def test_bars_of_another_length_are_refused(self) -> None:
        bar = self.bars.bar(0)
        longer = Bar(bar.open_ns, bar.close_ns + 10**9, *bar[2:])
        minutes = self.set.stream(60, hours)
        attempts: list[Callable[[], Floats]] = [
            partial(self.begin().update, longer),
            partial(minutes.extend, self.bars),
        ]
        for attempt in attempts:
            try:
                attempt()
            except PregaoError:
                continue
            raise AssertionError("bars of another length were taken")

    def test_without_the_compiler_it_is_the_same(self) -> None:
        count = min(self.set.warmup + 30, 400)
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
        command = [sys.executable, "-W", "ignore", "-c", _WITHOUT_COMPILER, self.features, str(count)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        plain = np.frombuffer(done.stdout).reshape(count, -1)
        # each bit, but for the sign of what is not a number
        np.testing.assert_array_equal(plain, made(self.set, market(count)), strict=True)
