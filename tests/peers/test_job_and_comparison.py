"""The job that all engines do, and the comparison of their trades."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from benchmarks.peers.differences import compare
from benchmarks.peers.job import TRADE, Job, average, make
from benchmarks.peers.rules import RULES, Candle, by_colour_long, by_colour_short, trades


def trade(**changes: float) -> np.ndarray:
    whole = {
        "symbol": 0, "entry": 3, "exit": 5, "entry_price": 100.0, "exit_price": 102.0, "size": 10.0, "pnl": 17.98,
    } | changes  # fmt: skip
    return np.array([tuple(whole[k] for k in TRADE.names)], TRADE)


@pytest.mark.parametrize("name", ["50k", "5k-wide", "5k-shaven", "5k-ties"])
def test_bars_are_bars(name: str) -> None:
    job = make(name)
    assert (job.low <= np.minimum(job.open, job.close)).all()
    assert (job.high >= np.maximum(job.open, job.close)).all()
    assert (job.low > 0).all()
    assert (job.signal != 0).sum() > 300


def test_the_same_seed_gives_the_same_job_and_a_file_carries_it_whole(tmp_path: Path) -> None:
    job = make("5k-wide", "both")
    job.save(tmp_path / "job.npz")
    again = Job.load(tmp_path / "job.npz")
    for field in vars(job):
        assert np.array_equal(getattr(job, field), getattr(again, field)), field
        assert np.array_equal(getattr(make("5k-wide", "both"), field), getattr(job, field)), field


def test_sizes_and_levels_are_exact() -> None:
    job = make("5k-wide", "both")
    take, stop = job.levels()
    for i in np.flatnonzero(job.signal[0])[:500]:
        close = Fraction(int(job.close[0, i]), 10**job.decimals)
        side = int(job.signal[0, i])
        assert job.size[0, i] == 10_000 // close
        assert take[0, i] == float(close * (1 + side * Fraction(2, 100)))
        assert stop[0, i] == float(close * (1 - side * Fraction(1, 100)))


def test_the_average_is_the_recursive_one() -> None:
    assert average(np.array([1.0, 4.0, 4.0]), 2).tolist() == pytest.approx([1.0, 3.0, 3.0 + 2 / 3])


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"pnl": 17.984}, False),  # the same to the cent
        ({"pnl": 17.986}, True),
        ({"exit": 6}, True),
        ({"exit_price": 102.0001}, True),
        ({"entry_price": 100 + 1e-9}, False),
        ({"size": 11.0}, True),
        ({"entry": 4}, True),
    ],
)
def test_what_makes_a_difference(changes: dict[str, float], differs: bool) -> None:
    assert compare(trade(), trade(**changes)).equal is not differs


def test_a_missing_trade_and_a_second_one_in_the_same_bar_are_told() -> None:
    two = np.concatenate([trade(), trade(exit=7)])
    assert "only theirs" in compare(two, trade()).first
    assert "only ours" in compare(trade(), two).first
    assert compare(two, two).equal


@pytest.mark.parametrize(
    ("bar", "long", "short"),
    [
        (Candle(100, 103, 98, 99), 102.0, 101.0),  # falls: up first, so a long's target and a short's stop
        (Candle(100, 103, 97, 101), 99.0, 98.0),  # rises: down first
        (Candle(100, 103, 97, 100), 99.0, 98.0),  # neither: down first
        (Candle(98.5, 103, 98, 101), 98.5, 98.0),  # opens beyond a long's stop, touches a short's target
        (Candle(102.5, 103, 98, 101), 102.5, 102.5),
        (Candle(100, 100.5, 99.5, 100), 0.0, 0.0),
    ],
)
def test_the_order_by_colour(bar: Candle, long: float, short: float) -> None:
    assert by_colour_long(bar, 102.0, 99.0) == long
    assert by_colour_short(bar, 98.0, 101.0) == short


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_sets_tell_the_engines_apart(name: str) -> None:
    """Wide bars and exact touches would be no test if engines with other rules made the same trades on them."""
    job = make("5k-wide")
    own, _ = trades(job, RULES[name])
    for other in RULES:
        if other != name:
            assert not compare(own, trades(job, RULES[other])[0]).equal, other


def test_shorts_mirror_longs() -> None:
    """Prices reflected about 100 and signals turned give the same exits where the order has no side."""
    job = make("5k-ties")
    turn = 2 * 100 * 10**job.decimals
    mirror = replace(
        job, open=turn - job.open, high=turn - job.low, low=turn - job.high, close=turn - job.close, signal=-job.signal
    )
    # only where the entry is at 100, so that the distances are the same
    rules = RULES["backtesting_py"]
    assert trades(job, rules)[0]["exit"].tolist() == trades(mirror, rules)[0]["exit"].tolist()
