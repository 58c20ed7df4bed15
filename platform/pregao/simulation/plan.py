"""The plan of an operation: how much to trade, with which exits, on which terms. All integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import MAX_QUANTA, PPM, decimal_of, percent_to_ppm
from pregao.core.timeframe import Timeframe
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.slippage import FixedSlippage
from pregao.simulation.terms import Terms

Number = str | int | float | Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What the simulator needs to know besides the bars. Money in quanta, rates in parts per million.

    Attributes:
        cash_quanta: at the start.
        entry_quanta: spent on each entry, fees not included.
        take_profit_ppm, stop_loss_ppm: distance of the exits from the entry's fill price; 0 is none.
        horizon_bars: an open position is closed at the open after this many bars; 0 is never.
        terms: costs and rules.
    """

    instrument: Instrument
    timeframe: Timeframe
    cash_quanta: int
    entry_quanta: int
    take_profit_ppm: int = 0
    stop_loss_ppm: int = 0
    horizon_bars: int = 0
    terms: Terms = field(default_factory=Terms)

    @classmethod
    def of(
        cls,
        instrument: Instrument,
        timeframe: Timeframe,
        *,
        cash: Number = 10_000,
        entry_value: Number = 1_000,
        take_profit: Number = 2,
        stop_loss: Number = 1,
        horizon: int = 0,
        fee: Number = "0.1",
        slippage: Number = "0.02",
        terms: Terms | None = None,
    ) -> Plan:
        """A checked plan from money in the quote currency and rates in per cent (0 is no exit).

        Args:
            fee, slippage: of the notional, each side, and of the price; the simple way to say ``terms``, which win.

        Raises:
            UsageError: naming the value that is out of range, and the range.
        """
        money = {"cash": decimal_of(cash, "cash"), "entry value": decimal_of(entry_value, "entry value")}
        for what, amount in money.items():
            if not 0 < amount / instrument.quantum < MAX_QUANTA // 4:
                raise UsageError(f"The {what} must be positive and not absurd, not {amount}.")
        if money["entry value"] > money["cash"]:
            raise UsageError(
                f"The entry value {entry_value} is more than the cash {cash}.",
                "Lower the entry value or raise the cash.",
            )
        if money["entry value"] < instrument.min_notional:
            raise UsageError(
                f"The entry value {entry_value} is below the least order of {instrument.symbol}, "
                f"{instrument.min_notional} {instrument.quote}."
            )
        rates = {}
        for what, rate, most in (
            ("take profit", take_profit, 99),
            ("stop loss", stop_loss, 99),
            ("fee", fee, 10),
            ("slippage", slippage, 10),
        ):
            ppm = percent_to_ppm(rate, what)
            if not 0 <= ppm <= most * PPM // 100:
                raise UsageError(f"The {what} must be between 0 and {most} %, not {rate} %.")
            rates[what] = ppm
        if not 0 <= horizon <= 100_000:
            raise UsageError(f"The horizon must be between 0 and 100,000 bars, not {horizon}.")
        quanta = {k: int((v / instrument.quantum).to_integral_value(ROUND_FLOOR)) for k, v in money.items()}
        return cls(
            instrument, timeframe, quanta["cash"], quanta["entry value"],
            rates["take profit"], rates["stop loss"], horizon,
            simple_terms(rates["fee"], rates["slippage"]) if terms is None else terms,
        )  # fmt: skip


def simple_terms(fee_ppm: int = 0, slippage_ppm: int = 0) -> Terms:
    """Terms with one fee for all, in ppm of the notional, and a fixed slippage, in ppm of the price."""
    slips = (FixedSlippage(slippage_ppm),) if slippage_ppm else ()
    return Terms(fees=FeeSchedule.flat_rate(fee_ppm), slippage=slips)
