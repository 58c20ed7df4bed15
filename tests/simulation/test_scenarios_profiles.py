"""The switches with which the engine follows other engines' rules, one by one, and the profiles that set them.

How a table is read is told in `tests/support/scenarios.py`. The plan: 1,000 an entry, +10 % and -5 %.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from candles import PLAN, candles
from scenarios import Scenario, both_sides, one_side, play

from pregao.simulation.backtest import run_signals
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import simple_terms
from pregao.simulation.terms import PROFILES, profile

SWITCHES = both_sides(
    Scenario(
        "fill_at_close: a market order fills at the close at which it is decided; its exits act from the next bar",
        """100 115  90 100 | long
           > entry buy 10 at 100 close taker
           101 111  96 105
           > profit sell 10 at 110 path""",
        {"fill_at_close": True},
    ),
    Scenario(
        "fill_at_close: so does the exit on a signal, and any market order; limits and stops wait as ever",
        """100 100 100 100 | a: buy 10; b: buy 1 limit 101; c: buy 1 stop 101
           > a: buy 10 at 100 close
           102 103 101 102 | leave
           > c: buy 1 at 102 gap
           > exit sell 11 at 102 close
           102 102 102 102
           102 102 100 102
           > b: buy 1 at 101 path""",
        {"fill_at_close": True},
    ),
    Scenario(
        "children_next_bar: what the entry's own candle reaches does not count",
        """100 100 100 100 | long
           100 115  90 100
           > entry buy 10 at 100 open
           100 111  96 105
           > profit sell 10 at 110 path""",
        {"children_next_bar": True},
    ),
    Scenario(
        "levels_from_signal: the exits are measured from the close of the signal",
        """100 100 100 100 | long
           104 111 103 105
           > entry buy 9 at 104 open
           > profit sell 9 at 110 path""",
        {"levels_from_signal": True},
        mirror=0,
    ),
    Scenario(
        "size_from_signal: the entry is sized at the close of the signal",
        """100 100 100 100 | long
           104 104 104 104
           > entry buy 10 at 104 open""",
        {"size_from_signal": True},
    ),
    Scenario(
        "limit_gap_at_limit: a target that the open has jumped over fills at its limit",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
           130 131 120 125
           > profit sell 10 at 110 gap ref 110""",
        {"limit_gap_at_limit": True},
    ),
    Scenario(
        "stop_gap_at_trigger: a stop inside the candle fills at its trigger although the open had passed it",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
            90  96  89  90
           > stop sell 10 at 95 gap""",
        {"stop_gap_at_trigger": True},
    ),
    Scenario(
        "stop_gap_at_trigger: a stop outside the candle fills at the open",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
            90  94  89  90
           > stop sell 10 at 90 gap""",
        {"stop_gap_at_trigger": True},
    ),
    Scenario(
        "stop_gap_at_trigger: likewise a target, at the price of the candle that is nearest to it",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
           130 131 120 125
           > profit sell 10 at 120 gap""",
        {"stop_gap_at_trigger": True},
    ),
    Scenario(
        "stop_beats_gap: a candle that reaches the stop stops out although it opened beyond the target",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
           120 121  95 120
           > stop sell 10 at 95 path ambiguous""",
        {"stop_beats_gap": True},
    ),
    Scenario(
        "stop_beats_gap: one that does not takes the profit at the open",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 open
           120 121  96 120
           > profit sell 10 at 120 gap""",
        {"stop_beats_gap": True},
    ),
)  # fmt: skip

BY_SIDE = one_side(
    Scenario(
        "profit_after_fees: 10 % are left after 0.1 % twice",
        """1000 1000 1000 1000 | long
           1000 1000 1000 1000
           > entry buy 1 at 1000 open
           1000 1103 1000 1100
           > profit sell 1 at 1102 path           # 1,001 paid and a tenth of it: 1,101.10, which 1,102.20 brings""",
        {"profit_after_fees": True, "fees": simple_terms(1_000).fees},
    ),
    Scenario(
        "profit_after_fees: short",
        """1000 1000 1000 1000 | short
           1000 1000 1000 1000
           > entry sell 1 at 1000 open
           1000 1000  897 1000
           > profit buy 1 at 898 path             # 999 received less a tenth of it: 899.10, which 898.20 costs""",
        {"profit_after_fees": True, "fees": simple_terms(1_000).fees},
    ),
    Scenario(
        "profit_after_fees: what the entry pays is a taker's fee, what the target pays a maker's",
        """1000 1000 1000 1000 | long
           1000 1000 1000 1000
           > entry buy 1 at 1000 open
           1000 1107 1000 1100
           > profit sell 1 at 1106 path           # 1,005 and a tenth of it: 1,105.50""",
        {"profit_after_fees": True, "fees": FeeSchedule(maker_ppm=0, taker_ppm=5_000)},
    ),
    Scenario(
        "stop_rounds_up: 5 % below 110 is 104.5: 105, not the nearest, 104",
        """100 100 100 100 | long
           110 110 110 110
           > entry buy 9 at 110 open
           110 110 105 110
           > stop sell 9 at 105 path""",
        {"stop_rounds_up": True},
    ),
    Scenario(
        "without it: 104",
        """100 100 100 100 | long
           110 110 110 110
           > entry buy 9 at 110 open
           110 110 105 110
           110 110 104 110
           > stop sell 9 at 104 path""",
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*SWITCHES, *BY_SIDE])
def test_switches(scenario: Scenario) -> None:
    play(scenario)


# A signal at a close of 100. What each profile makes of it, in four small markets.
MARKETS = {
    "opens higher": "104 104 104 104",  # where does it enter, and how large?
    "wide entry bar": "100 111  96 100",  # does the target in the entry's own bar count?
    "both exits": "100 100 100 100\n100 115 90 112",
    "gap": "100 100 100 100\n130 131 120 125",
}
MADE_OF_IT = """
                opens higher   wide entry bar   both exits   gap
realistic       9 at 104       profit 110       stop 95      profit 130
backtesting_py  10 at 104      profit 110       stop 95      profit 130
vectorbt        10 at 104      -                stop 95      profit 130
backtrader      10 at 104      -                stop 95      profit 130
nautilus        10 at 100      profit 110       profit 110   profit 110
jesse           10 at 100      profit 110       stop 95      profit 130
freqtrade       9 at 104       profit 110       stop 95      profit 120
"""


def made_of_it() -> list[object]:
    found = []
    for line in MADE_OF_IT.strip("\n").splitlines()[1:]:
        name, *cells = (cell.strip() for cell in line.replace("  ", "|").split("|") if cell.strip())
        found += [pytest.param(name, *pair, id=f"{name}, {pair[0]}") for pair in zip(MARKETS, cells, strict=True)]
    return found


@pytest.mark.parametrize(("name", "market", "expected"), made_of_it())
def test_profiles(name: str, market: str, expected: str) -> None:
    bars, signals = candles(f"100 100 100 100 buy\n{MARKETS[market]}")
    result = run_signals(bars, replace(PLAN, terms=profile(name, participation_ppm=0)), signals)
    entry, *exits = (e for e in result.history() if e.kind == "fill")
    if market == "opens higher":
        assert f"{entry.qty_lots} at {entry.price_ticks}" == expected
    else:
        words = {"take_profit": "profit", "stop_loss": "stop"}
        assert [f"{words[e.role]} {e.price_ticks}" for e in exits] == ([expected] if expected != "-" else [])


def test_every_profile_is_in_the_table() -> None:
    assert {line.split()[0] for line in MADE_OF_IT.strip().splitlines()[1:]} == set(PROFILES)
