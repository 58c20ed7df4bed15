"""Several instruments and several currencies in one account, as candle tables.

How a table is read is told in `tests/support/scenarios.py`: here a line has the candles of the instruments A, B and C.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from candles import MINUTE, ONE
from scenarios import Scenario, one_side, play

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.engine import Engine
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms


def plan(name: str, quote: str = "USD", tick: str = "1", **terms: object) -> Plan:
    instrument = Instrument(
        symbol=f"{name}/{quote}", source="test", venue="test", asset_class="crypto", base=name, quote=quote,
        tick_size=Decimal(tick), lot_size=Decimal(1), allow_short=True,
    )  # fmt: skip
    return Plan(instrument, MINUTE, 0, 1000 * 10**8, 100_000, 50_000, terms=Terms(**terms))  # type: ignore[arg-type]


PAIR = (plan("APPLES"), plan("PEARS"))
THOUSAND = {"USD": Decimal(1_000)}

ONE_ACCOUNT = one_side(
    Scenario(
        "one cash for all",
        """100 100 100 100 / 50 50 50 50 | buy 6 A; buy 9 B; buy 8 B
           > rejected B (no funds)                     # 600 are locked
           = locked 1000
           100 100 100 100 / 50 50 50 50
           > buy 6 A at 100 open cash 400
           > buy 8 B at 50 open cash 0
           110 110 110 110 / 45 45 45 45
           = A position 6 equity 1020
           = B position 8 equity 1020""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "what a sale frees is not there for another instrument's open of the same time",
        """100 100 100 100 / 100 100 100 100 | buy 9 A
           100 100 100 100 / 100 100 100 100 | sell 9 A; buy 1 B
           > buy 9 A at 100 open
           100 100 100 100 / 200 200 200 200
           > sell 9 A at 100 open cash 1000
           > rejected B (no funds)                     # it needs 200 and has locked 100
           = free 1000""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "nor what is freed inside the candle",
        """100 100 100 100 / 100 100 100 100 | buy 9 A
           100 100 100 100 / 100 100 100 100 | sell 9 A limit 101; buy 1 B stop 150
           > buy 9 A at 100 open
           > rejected B (no funds)
           100 100 100 100 / 100 100 100 100 | buy 1 B stop 100
           100 102 100 100 / 200 200 200 200
           > rejected B (no funds)
           > sell 9 A at 101 path
           100 100 100 100 / 200 200 200 200 | buy 5 B
           100 100 100 100 / 200 200 200 200
           > buy 5 B at 200 open                       # from the next candle on it is there""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "nor what a cancelled order had locked",
        """100 100 100 100 / 100 100 100 100 | buy 9 A limit 100 ioc; buy 1 B
           101 101 101 101 / 200 200 200 200
           > cancelled A (not filled at once)
           > rejected B (no funds)
           = free 1000""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "all opens come before all paths",
        """100 100 100 100 / 100 100 100 100 | buy 1 A limit 95; buy 1 B
           100 100  94 100 / 100 100 100 100
           > buy 1 B at 100 open
           > buy 1 A at 95 path""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "an instrument without a candle waits, and is worth its last close",
        """100 100 100 100 / 50 50 50 50 | buy 5 A; buy 5 B
           100 100 100 100 / -
           > buy 5 A at 100 open
           110 110 110 110 / 60 60 60 60
           > buy 5 B at 60 open
           120 120 120 120 / -
           = A equity 1100
           -               / 70 70 70 70
           = A equity 1150""",
        plans=PAIR,
        cash=THOUSAND,
    ),
    Scenario(
        "each has its own volume",
        """100 100 100 100    / 100 100 100 100    | buy 5 A; buy 4 B
           100 100 100 100 30 / 100 100 100 100 20
           > buy 3 A at 100 open
           > buy 2 B at 100 open
           100 100 100 100 30 / 100 100 100 100 20
           > buy 2 A at 100 open
           > buy 2 B at 100 open""",
        plans=(plan("APPLES", participation_ppm=100_000), plan("PEARS", participation_ppm=100_000)),
        cash=THOUSAND,
    ),
    Scenario(
        "a signal concerns its instrument, and so does its bracket",
        """100 100 100 100 / 100 100 100 100 | long A; short B
           100 100 100 100 / 100 100 100 100 | leave B
           > entry buy 10 A at 100 open
           > entry sell 10 B at 100 open
           100 111 100 110 / 100 100 100 100
           > exit buy 10 B at 100 open
           > profit sell 10 A at 110 path
           = orders 0""",
        plans=PAIR,
        cash={"USD": Decimal(10_000)},
    ),
    Scenario(
        "a perpetual's loss is its own margin; its gain is cash for all",
        """100 100 100 100 / 100 100 100 100 | buy 10 A; buy 5 B
           100 100 100 100 / 100 100 100 100
           > buy 10 A at 100 open
           > buy 5 B at 100 open cash 500
            50  50  50  50 / 100 100 100 100
           > liquidation sell 10 A at 90 gap realised -100
           = cash 400 locked 0 equity 900""",
        plans=(
            plan("APPLES", contract="margin", initial_margin_ppm=100_000, maintenance_margin_ppm=50_000),
            plan("PEARS"),
        ),
        cash=THOUSAND,
    ),
)  # fmt: skip

# A is quoted in dollars, B in euros, and C tells what a euro is worth.
ABROAD = (plan("APPLES"), plan("PEARS", "EUR"), plan("EUR", "USD", "0.0001"))
BOTH = {"USD": Decimal(1_000), "EUR": Decimal(1_000)}
FLAT = "100 100 100 100"
CURRENCIES = one_side(
    Scenario(
        "equity is told in the reporting currency at the last rate",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | buy 5 B
           = equity 2100
           {FLAT} / {FLAT} / 1.1 1.1 1.1 1.1
           > buy 5 B at 100 open cash 500               # euros
           = A cash 1000 equity 2100
           = B cash 500 position 5
           {FLAT} / 110 110 110 110 / 1.1 1.2 1.1 1.2
           = A equity 2260                              # 1,000 + 1.2 * (500 + 550)""",
        plans=ABROAD,
        cash=BOTH,
    ),
    Scenario(
        "dollars do not pay for what is quoted in euros",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | buy 5 B; buy 10 A
           > rejected B (no funds)""",
        plans=ABROAD,
        cash={"USD": Decimal(1_000), "EUR": Decimal(499)},
    ),
    Scenario(
        "fees are paid in the currency of the quote",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | buy 5 B
           {FLAT} / {FLAT} / 1.1 1.1 1.1 1.1
           > buy 5 B at 100 open fee 5 cash 495
           = A cash 1000 fees 0 equity 2094.5
           = B fees 5""",
        plans=(ABROAD[0], plan("PEARS", "EUR", fees=FeeSchedule.flat_rate(10_000)), ABROAD[2]),
        cash=BOTH,
    ),
    Scenario(
        "euros are changed into dollars at the last rate, less a fee",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | convert 100 EUR fee 1%
           > converted C 108.9
           = A cash 1108.9 equity 2098.9
           = B cash 900""",
        plans=ABROAD,
        cash=BOTH,
    ),
    Scenario(
        "and dollars into euros",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | convert -100 EUR fee 1%
           > converted C -111.1
           = A cash 888.9 equity 2098.9
           = B cash 1100""",
        plans=ABROAD,
        cash=BOTH,
    ),
    Scenario(
        "not more than is there, and not before there is a rate",
        f"""{FLAT} / {FLAT} / -                       | convert 100 EUR
           {FLAT} / {FLAT} / 1.1 1.1 1.1 1.1          | convert 1000.00000001 EUR; convert -909.1 EUR; convert 1000 EUR
           > converted C 1100
           = A cash 2100
           = B cash 0""",
        plans=ABROAD,
        cash=BOTH,
    ),
    Scenario(
        "locked euros cannot be changed",
        f"""{FLAT} / {FLAT} / 1.1 1.1 1.1 1.1         | buy 5 B; convert 501 EUR; convert 500 EUR
           > converted C 550""",
        plans=ABROAD,
        cash=BOTH,
    ),
    Scenario(
        "other currencies are rounded down: three quanta at 1.9999 are five",
        f"""{FLAT} / {FLAT} / 1.9999 1.9999 1.9999 1.9999
           = equity 0.00000005""",
        plans=ABROAD,
        cash={"USD": Decimal(0), "EUR": Decimal("0.00000003")},
    ),
    Scenario(
        "what is changed is rounded against the trader, both ways",
        f"""{FLAT} / {FLAT} / 1.9999 1.9999 1.9999 1.9999 | convert 0.00000003 EUR; convert -0.00000003 EUR
           > converted C 0.00000005
           > converted C -0.00000006""",
        plans=ABROAD,
        cash={"USD": Decimal(1), "EUR": Decimal("0.00000003")},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*ONE_ACCOUNT, *CURRENCIES])
def test_accounts(scenario: Scenario) -> None:
    play(scenario)


def test_a_currency_without_a_rate_is_refused() -> None:
    with pytest.raises(UsageError, match="what EUR is worth in USD"):
        Engine(ABROAD[:2], BOTH)
    with pytest.raises(UsageError, match="what USD is worth in EUR"):
        Engine(ABROAD, BOTH, reporting="EUR")


def test_instruments_of_one_account_are_different_and_of_one_timeframe() -> None:
    with pytest.raises(UsageError, match="twice"):
        Engine((PAIR[0], PAIR[0]))
    slower = replace(PAIR[1], timeframe=Timeframe.parse("1h"))
    with pytest.raises(UsageError, match="timeframe"):
        Engine((PAIR[0], slower))
    assert Engine(Plan(ONE, MINUTE, 10**10, 10**9)).cash() == {"USD": (100, 0)}
