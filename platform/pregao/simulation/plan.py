"""The plan of an operation: how much to trade, with which exits, at what costs. All integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import MAX_QUANTA, PPM, decimal_of, percent_to_ppm
from pregao.core.timeframe import Timeframe
from pregao.simulation.layout import PLAN

Number = str | int | float | Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What the simulator needs to know besides the bars. Money in quanta, rates in parts per million.

    Attributes:
        cash_quanta: at the start.
        entry_quanta: spent on each entry, fees not included.
        take_profit_ppm, stop_loss_ppm: distance of the exits from the entry's fill price; 0 is none.
        horizon_bars: an open position is closed at the open after this many bars; 0 is never.
        fee_ppm: of the notional, each side.
        slippage_ppm: of the price, against the trader, for market and stop orders.
    """

    instrument: Instrument
    timeframe: Timeframe
    cash_quanta: int
    entry_quanta: int
    take_profit_ppm: int = 0
    stop_loss_ppm: int = 0
    horizon_bars: int = 0
    fee_ppm: int = 0
    slippage_ppm: int = 0

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
    ) -> Plan:
        """A checked plan from money in the quote currency and rates in per cent (0 is no exit).

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
            rates["take profit"], rates["stop loss"], horizon, rates["fee"], rates["slippage"],
        )  # fmt: skip

    def record(self) -> NDArray[np.void]:
        """The plan as the kernel reads it, shape ``(1,)`` of `layout.PLAN`."""
        record = np.zeros(1, PLAN)
        least = int(-(-self.instrument.min_notional // self.instrument.quantum))
        record[0] = (
            self.instrument.tick_quanta, self.cash_quanta, self.entry_quanta, self.take_profit_ppm, self.stop_loss_ppm,
            self.horizon_bars, self.fee_ppm, self.slippage_ppm, least, int(self.instrument.allow_short),
        )  # fmt: skip
        return record
