"""Splits, dividends and funding: how they are read, encoded, and what they make of the prices before them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.actions import (
    ACTION,
    Action,
    Dividend,
    Funding,
    Split,
    adjusted,
    adjusted_already,
    encode,
    from_frame,
)

DAY = Timeframe.parse("1d")


def stock(**changes: object) -> Instrument:
    fields = {
        "symbol": "AAPL", "source": "test", "venue": "test", "asset_class": "stock", "base": "AAPL", "quote": "USD",
        "tick_size": Decimal("0.01"), "lot_size": Decimal(1), "calendar": "XNYS",
    }  # fmt: skip
    return Instrument.model_validate(fields | changes)


def at(day: str) -> int:
    return pd.Timestamp(day, tz="UTC").value


def days(table: str, instrument: Instrument | None = None) -> Bars:
    """``day open high low close volume`` a line."""
    rows = [line.split() for line in table.strip().splitlines()]
    frame = pd.DataFrame(
        [[float(x) for x in row[1:]] for row in rows], columns=["open", "high", "low", "close", "volume"]
    )
    frame.insert(0, "timestamp", pd.to_datetime([row[0] for row in rows], utc=True))
    return Bars.from_frame(frame, instrument or stock(), DAY)


def closes(bars: Bars) -> list[float]:
    return bars.frame()["close"].round(4).tolist()


APPLE = """2014-05-07 595.25 597.29 587.73 592.33 10102300
           2014-05-08 588.25 594.41 586.40 587.99  8224900
           2014-06-06 649.90 651.26 644.47 645.57 12497800
           2014-06-09  92.70  93.88  91.75  93.70 75415000
           2014-08-06  94.75  95.48  94.71  94.96 38558000
           2014-08-07  94.93  95.95  94.10  94.48 46711000"""
"""Apple's shares as they were traded: 3.29 dividend on 2014-05-08, seven for one on 06-09, 0.47 dividend on 08-07."""
APPLES = (
    Dividend(at("2014-05-08"), Decimal("3.29")),
    Split(at("2014-06-09"), Fraction(7)),
    Dividend(at("2014-08-07"), Decimal("0.47")),
)


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2014-05-07", [592.33, 587.99, 645.57, 93.70, 94.96, 94.48]),
        ("2014-05-08", [589.04, 587.99, 645.57, 93.70, 94.96, 94.48]),  # 592.33 - 3.29
        ("2014-06-08", [589.04, 587.99, 645.57, 93.70, 94.96, 94.48]),  # the split is not known yet
        ("2014-06-09", [84.1486, 83.9986, 92.2243, 93.70, 94.96, 94.48]),  # all before it a seventh
        ("2014-08-07", [83.7321, 83.5828, 91.7678, 93.2362, 94.49, 94.48]),  # times 94.49 / 94.96
    ],
)
def test_apples_prices_as_they_were_drawn_at_each_time(as_of: str, expected: list[float]) -> None:
    assert closes(adjusted(days(APPLE), APPLES, at(as_of))) == expected


def test_a_split_of_seven_for_one_changes_prices_and_volumes_of_the_bars_before_it() -> None:
    raw = days(APPLE)
    made = adjusted(raw, APPLES, at("2014-06-09"))
    row = made.frame().iloc[2]
    assert [round(row[name], 4) for name in ("open", "high", "low", "close")] == [92.8429, 93.0371, 92.0671, 92.2243]
    assert row["volume"] == 87_484_600
    assert made.volume[3] == raw.volume[3]
    assert made.instrument.tick_size == Decimal("0.000001")
    assert int(made.close[2]) == 92_224_286  # 645.57 / 7 = 92.22428571…
    assert made.instrument.tick_size * made.instrument.lot_size == made.instrument.tick_quanta * made.instrument.quantum


def test_returns_over_a_dividend_include_it() -> None:
    made = adjusted(days(APPLE), APPLES, at("2014-08-07"))
    assert int(made.close[5]) / int(made.close[4]) == pytest.approx(94.48 / (94.96 - 0.47), rel=1e-7)


def test_a_reverse_split_and_one_in_thirds() -> None:
    bars = days("2020-01-01 9 9 9 9 900\n2020-01-02 30 30 30 30 300")
    made = adjusted(bars, [Split(at("2020-01-02"), Fraction(1, 3))], at("2020-01-02"))
    assert closes(made) == [27, 30]
    assert made.volume.tolist() == [300, 300]


def test_actions_between_the_same_two_bars_follow_one_another() -> None:
    bars = days("2020-01-02 100 100 100 100 10\n2020-01-06 48 48 48 48 10")
    friday, weekend, monday = at("2020-01-03"), at("2020-01-04"), at("2020-01-06")
    two = [Dividend(friday, Decimal(3)), Dividend(friday, Decimal(1)), Split(monday, Fraction(2))]
    assert closes(adjusted(bars, two, monday)) == [48, 48]  # (100 - 3 - 1) / 2
    after = [Split(weekend, Fraction(2)), Dividend(monday, Decimal(2))]
    assert closes(adjusted(bars, after, monday)) == [48, 48]  # 100 / 2 - 2: the dividend is for a new share


def test_bars_without_an_action_that_applies_are_those_given() -> None:
    bars = days(APPLE)
    assert adjusted(bars, APPLES, at("2014-05-07")) is bars
    assert adjusted(bars, [Dividend(at("2014-05-07"), Decimal(1))], at("2015-01-01")) is bars, "before the first bar"
    assert adjusted(bars, [Funding(at("2014-06-07"), Decimal("0.01"))], at("2015-01-01")) is bars


def test_a_dividend_as_large_as_the_price_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dividend of 592.33 on 2014-05-08 is not less than the price"):
        adjusted(days(APPLE), [Dividend(at("2014-05-08"), Decimal("592.33"))], at("2014-05-08"))


ADJUSTED = """2014-06-06 92.84 93.04 92.07 92.22 87484600
              2014-06-09 92.70 93.88 91.75 93.70 75415000"""


def test_prices_that_are_adjusted_already_are_not_divided_again() -> None:
    split = APPLES[1]
    assert adjusted_already(days(ADJUSTED), APPLES) == (split,)
    assert adjusted_already(days(APPLE), APPLES) == ()
    with pytest.raises(UsageError, match=r"split of 7:1 on 2014-06-09: they are already adjusted"):
        adjusted(days(ADJUSTED), APPLES, at("2014-06-09"))


@pytest.mark.parametrize(
    ("ratio", "before", "after", "found"),
    [
        (Fraction(2), 100, 50, False),
        (Fraction(2), 100, 72, True),  # down 28 %: nearer to 100 than to 50
        (Fraction(2), 100, 70, False),  # down 30 %: nearer to 50
        (Fraction(1, 10), 5, 50, False),
        (Fraction(1, 10), 50, 51, True),
        (Fraction(5, 4), 100, 100, False),  # too small to tell
    ],
)
def test_when_prices_count_as_adjusted(ratio: Fraction, before: int, after: int, found: bool) -> None:
    bars = days(f"2020-01-01 {before} {before} {before} {before} 1\n2020-01-02 {after} {after} {after} {after} 1")
    assert bool(adjusted_already(bars, [Split(at("2020-01-02"), ratio)])) is found


TIMES = st.integers(1, 7).map(lambda day: day * DAY.ns)
any_action = st.one_of(
    st.builds(Split, TIMES, st.sampled_from([Fraction(4, 3), Fraction(10, 9), Fraction(201, 200)])),
    st.builds(Dividend, TIMES, st.integers(1, 300).map(lambda cents: Decimal(cents) / 100)),
)


@given(
    st.lists(st.tuples(*[st.integers(5_000, 500_000)] * 4), min_size=6, max_size=6),
    st.lists(any_action, max_size=5), st.integers(0, 8),
)  # fmt: skip
def test_adjusted_prices_are_the_exact_ones_to_a_ten_thousandth_of_a_tick(
    rows: list[tuple[int, int, int, int]], actions: list[Action], as_of: int
) -> None:
    table = np.array([[o, max(o, c, h), min(o, c, low), c] for o, h, low, c in rows], np.int64).T
    opens = np.arange(1, 7, dtype=np.int64) * DAY.ns
    bars = Bars(stock(), DAY, opens, *table, volume=np.full(6, 10.0))
    made = adjusted(bars, actions, as_of * DAY.ns)
    known = sorted((a for a in actions if a.ts_ns <= as_of * DAY.ns), key=lambda a: a.ts_ns)
    for i in range(6):
        price, count = Fraction(1), Fraction(1)
        for day in range(i + 1, 7):  # the nights after the bar, each with its actions; after the last bar any later one
            worth = before = Fraction(int(bars.close[day - 1]), 100)
            for action in known:
                if not opens[day - 1] < action.ts_ns <= (opens[day] if day < 6 else 2**62):
                    continue
                if isinstance(action, Split):
                    worth, count = worth / action.ratio, count * action.ratio
                else:
                    worth -= Fraction(action.amount)
            price *= worth / before
        finer = 10_000 if made is not bars else 1
        for name in ("open", "high", "low", "close"):
            exact = int(getattr(bars, name)[i]) * finer * price
            assert abs(int(getattr(made, name)[i]) - exact) <= Fraction(1, 2) + Fraction(1, 10**4)
        assert made.volume[i] == pytest.approx(float(10 * count))
    assert np.all(made.high >= np.maximum(made.open, made.close))
    assert np.all(made.low <= np.minimum(made.open, made.close))


@given(st.lists(any_action, max_size=6), st.integers(0, 8))
def test_no_later_action_changes_what_was_known(actions: list[Action], as_of: int) -> None:
    ones = np.full(6, 10_000, np.int64)
    bars = Bars(stock(), DAY, np.arange(1, 7, dtype=np.int64) * DAY.ns, ones, ones, ones, ones, np.ones(6))
    now = as_of * DAY.ns
    whole = adjusted(bars, actions, now)
    known = adjusted(bars, [a for a in actions if a.ts_ns <= now], 10 * DAY.ns)
    assert np.array_equal(whole.close, known.close)
    assert whole.instrument == known.instrument


@pytest.mark.parametrize(
    ("action", "row"),
    [
        (Split(5, Fraction(7)), (5, 1, 7, 1)),
        (Split(5, Fraction(1, 10)), (5, 1, 1, 10)),
        (Split(5, Fraction(6, 4)), (5, 1, 3, 2)),
        (Dividend(5, Decimal("3.29")), (5, 2, 329_000_000, 0)),  # quanta of 1e-8 dollars a share
        (Dividend(5, Decimal("0.00000000000001")), (5, 2, 0, 1)),
        (Dividend(5, Decimal("0.378571428571")), (5, 2, 37_857_142, 857_100)),
        (Funding(5, Decimal("0.0001")), (5, 3, 10_000, 0)),  # one basis point in 1e-8
        (Funding(5, Decimal("-0.00375")), (5, 3, -375_000, 0)),
        (Funding(5, Decimal(0)), (5, 3, 0, 0)),
    ],
)
def test_what_the_kernel_gets(action: Action, row: tuple[int, int, int, int]) -> None:
    table = encode([action], stock())
    assert table.dtype == ACTION
    assert table.tolist() == [row]


def test_a_dividend_is_encoded_for_a_lot() -> None:
    fractional = stock(lot_size=Decimal("0.001"))
    assert encode([Dividend(5, Decimal("3.29"))], fractional).tolist() == [(5, 2, 329_000, 0)]
    hundred = stock(lot_size=Decimal(100))
    assert encode([Dividend(5, Decimal("3.29"))], hundred).tolist() == [(5, 2, 32_900_000_000, 0)]


def test_actions_are_sorted_by_time_and_otherwise_keep_their_order() -> None:
    actions = [
        Dividend(9, Decimal(1)), Split(3, Fraction(2)), Dividend(3, Decimal(5)), Split(3, Fraction(3)),
        Funding(1, Decimal(0)),
    ]  # fmt: skip
    assert [(row["ts_ns"], row["kind"], row["a"]) for row in encode(actions, stock())] == [
        (1, 3, 0), (3, 1, 2), (3, 2, 500_000_000), (3, 1, 3), (9, 2, 100_000_000),
    ]  # fmt: skip
    assert encode([], stock()).shape == (0,)


@given(st.decimals("0.00000001", "1000000", places=8), st.sampled_from(["1", "100", "0.001", "0.00001"]))
def test_no_part_of_a_dividend_is_lost(amount: Decimal, lot: str) -> None:
    instrument = stock(lot_size=Decimal(lot))
    row = encode([Dividend(0, amount)], instrument)[0]
    assert 0 <= row["b"] < 1_000_000
    quanta = int(row["a"]) + Fraction(int(row["b"]), 1_000_000)
    assert quanta * Fraction(instrument.quantum) == Fraction(amount) * Fraction(instrument.lot_size)


@pytest.mark.parametrize(
    ("amount", "complaint"),
    [("0.000000000000001", "Action 1, .* finer than a millionth"), ("46116860184.27387904", "Action 1, .* too large")],
)
def test_a_dividend_that_does_not_fit_is_named(amount: str, complaint: str) -> None:
    encode([Dividend(0, Decimal("46116860184.27387903"))], stock())
    with pytest.raises(UsageError, match=complaint):
        encode([Dividend(0, Decimal(1)), Dividend(0, Decimal(amount))], stock())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Split(0, Fraction(0)), lambda: Split(0, Fraction(-2)), lambda: Split(0, Fraction(1)),
        lambda: Split(0, 7.0), lambda: Split(0, Fraction(2**31)), lambda: Split(0, Fraction(1, 2**31)),
        lambda: Split(0.5, Fraction(2)), lambda: Split(2**62, Fraction(2)),
        lambda: Dividend(0, Decimal(0)), lambda: Dividend(0, Decimal(-1)), lambda: Dividend(0, Decimal("NaN")),
        lambda: Dividend(0, 0.5), lambda: Funding(0, Decimal(1)), lambda: Funding(0, Decimal("0.000000001")),
        lambda: Funding(0, Decimal("Infinity")),
    ],
)  # fmt: skip
def test_what_is_no_action(make) -> None:
    with pytest.raises(UsageError):
        make()


def test_a_table_of_actions() -> None:
    frame = pd.DataFrame(
        {
            "timestamp": ["2014-05-08", "2014-06-09T00:00:00Z", "2014-06-10", "2014-08-07"],
            "dividend": [3.29, 0.0, 0.0, 0.47],
            "split": [1.0, 7.0, 0.0, 2.0],
        }
    )
    assert from_frame(frame) == (*APPLES[:2], Split(at("2014-08-07"), Fraction(2)), APPLES[2])
    assert from_frame(frame[["timestamp", "dividend"]]) == (APPLES[0], APPLES[2])
    hours = pd.DataFrame({"timestamp": pd.to_datetime([8, 16], unit="h", utc=True), "funding": [0.0001, -5e-05]})
    assert from_frame(hours) == (
        Funding(8 * 3_600 * 10**9, Decimal("0.0001")), Funding(16 * 3_600 * 10**9, Decimal("-0.00005")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        (7, Fraction(7)), (7.0, Fraction(7)), ("7", Fraction(7)), ("7:1", Fraction(7)), ("1/10", Fraction(1, 10)),
        (0.1, Fraction(1, 10)), (1.5, Fraction(3, 2)), (0.333333, Fraction(1, 3)), (0.142857, Fraction(1, 7)),
        (1.281, Fraction(1281, 1000)), ("1281:1000", Fraction(1281, 1000)), (1.00034, Fraction(50_017, 50_000)),
        (1.005, Fraction(201, 200)), (2 / 3, Fraction(2, 3)), (1.2345, Fraction(2469, 2000)),
        (1.0256432, Fraction(641_027, 625_000)),
    ],
)  # fmt: skip
def test_how_the_ratio_of_a_split_may_be_written(value: object, ratio: Fraction) -> None:
    frame = pd.DataFrame({"timestamp": ["2020-01-01"], "split": pd.Series([value], dtype=object)})
    assert from_frame(frame) == (Split(at("2020-01-01"), ratio),)


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("split", -7.0, "Row 1 of the actions, 2020-01-02: The ratio of a split must be a positive fraction"),
        ("split", np.nan, "Row 1 .* must be a finite number"),
        ("split", "7:0", "Row 1 .* no old shares"),
        ("split", "seven", "Row 1 .* is not a number"),
        ("split", 1e300, "Row 1 .* too many digits"),
        ("dividend", -0.1, "Row 1 of the actions, 2020-01-02: A dividend must be a positive Decimal"),
        ("dividend", np.nan, "Row 1 .* must be a finite number"),
        ("dividend", None, "Row 1 .* is not a number"),
        ("funding", 1.0, "Row 1 .* between -1 and 1"),
        ("funding", 0.000000001, "Row 1 .* finer than"),
        ("timestamp", pd.NaT, "Row 1 of the actions has no readable time"),
        ("timestamp", "soon", "Row 1 of the actions has no readable time"),
    ],
)
def test_a_row_that_is_no_action_is_named(column: str, value: object, complaint: str) -> None:
    rows = {"timestamp": ["2020-01-01", "2020-01-02"], "split": [7, 1], "dividend": [0, 0], "funding": [0, 0]}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in rows.items()})
    frame.loc[1, column] = value
    with pytest.raises(UsageError, match=complaint):
        from_frame(frame)


def test_a_table_without_actions_is_refused() -> None:
    with pytest.raises(UsageError, match="columns timestamp and split"):
        from_frame(pd.DataFrame({"timestamp": ["2020-01-01"], "close": [1]}))


SHARED = Path(__file__).parents[3] / "shared" / "data" / "stocks"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared folder with real market data is not here")
def test_real_prices_that_a_vendor_has_adjusted_are_recognised() -> None:
    for symbol, payments in (("AAPL", 10), ("IBM", 12), ("MSFT", 12)):
        frame = pd.read_parquet(SHARED / f"{symbol}_1d_with_actions.parquet").round(
            dict.fromkeys(("open", "high", "low", "close"), 6)
        )
        actions = from_frame(frame)
        bars = Bars.from_frame(frame, stock(tick_size=Decimal("0.000001")), DAY)
        dividends = [action for action in actions if isinstance(action, Dividend)]
        assert len(dividends) == payments
        splits = (Split(at("2014-06-09"), Fraction(7)),) if symbol == "AAPL" else ()
        assert adjusted_already(bars, actions) == splits
        made = adjusted(bars, dividends, at("2015-01-01")).frame()["close"]
        growth = (frame["close"] / (frame["close"].shift(1) - frame["dividend"])).iloc[1:].prod()
        assert made.iloc[-1] / made.iloc[0] == pytest.approx(growth, rel=1e-6), "each dividend bought shares at once"
