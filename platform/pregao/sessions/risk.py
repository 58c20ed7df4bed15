"""Risk rules between a strategy and the broker: how much an entry may be, and when there must be none. Pure integers.

Rates are parts per million, money is in quanta, days are UTC days since 1970. Exits are never held back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pregao.core.money import PPM
from pregao.sessions.spec import Risk
from pregao.simulation.plan import Plan

DAY_NS = 86_400_000_000_000


class Rules(NamedTuple):
    """The limits; 0 is no limit.

    Attributes:
        position_ppm: the most that one entry may be worth, of the equity.
        exposure_ppm: the most that position and waiting entries may be worth together, of the equity.
        kelly_ppm: the part of Kelly's fraction that an entry may be, where the strategy estimates its chance.
        daily_loss_ppm: the most that may be lost in a UTC day, of the equity at its beginning; then no more entries.
        drawdown_ppm: the most that the equity may fall below its peak; then the position is closed and the session
            paused.
        cool_down_bars: bars without an entry after a trade that lost.
    """

    position_ppm: int = 0
    exposure_ppm: int = 0
    kelly_ppm: int = 0
    daily_loss_ppm: int = 0
    drawdown_ppm: int = 0
    cool_down_bars: int = 0


PROFILES: dict[str, Rules] = {
    "none": Rules(),
    "conservative": Rules(100_000, 100_000, 250_000, 10_000, 50_000, 12),
    "balanced": Rules(250_000, 250_000, 500_000, 30_000, 150_000, 4),
    "aggressive": Rules(1_000_000, 1_000_000, 1_000_000, 80_000, 300_000, 0),
}


def rules_of(risk: Risk) -> Rules:
    """The limits of a profile, with what is set beside it."""
    own = {
        "position_ppm": risk.max_position,
        "exposure_ppm": risk.max_exposure,
        "kelly_ppm": risk.kelly,
        "daily_loss_ppm": risk.daily_loss,
        "drawdown_ppm": risk.max_drawdown,
    }
    changes: dict[str, Any] = {name: int(percent * 10_000) for name, percent in own.items() if percent is not None}
    if risk.cool_down is not None:
        changes["cool_down_bars"] = risk.cool_down
    return PROFILES[risk.profile]._replace(**changes)


class Wish(NamedTuple):
    """An entry that a strategy wants.

    Attributes:
        fraction_ppm: the part of the session's entry value.
        probability_ppm: its chance to end at the take profit; None without an estimate.
        exposure_quanta: what position and waiting entries are worth now.
    """

    fraction_ppm: int
    probability_ppm: int | None
    exposure_quanta: int


class Verdict(NamedTuple):
    """What of an entry is allowed: ``fraction_ppm`` of the session's entry value, 0 for nothing, and which limit bound
    it; ``limit`` is empty if none did."""

    fraction_ppm: int
    limit: str


class Guard:
    """The state of a session's limits.

    Args:
        rules: the limits.
        plan: entry value, exits and costs.

    Attributes:
        equity: at the last close.
        peak: the highest equity at a close, since the session began or was resumed after a drawdown.
        day, day_equity: the UTC day, and the equity with which it began.
        halted: the day's loss limit was reached.
        lost_bar: the bar at which a trade last lost; 0 is never.
    """

    def __init__(self, rules: Rules, plan: Plan) -> None:
        self.rules = rules
        self._entry = plan.entry_quanta
        costs = 2 * (plan.terms.fees.taker_ppm + plan.terms.fixed_slippage_ppm)
        self._win, self._loss = plan.take_profit_ppm - costs, plan.stop_loss_ppm + costs
        self.equity = self.peak = self.day_equity = plan.cash_quanta
        self.day = -1
        self.halted = False
        self.lost_bar = 0

    def close(self, ts_ns: int, equity: int) -> None:
        """A bar has closed at this time with this equity."""
        day = (ts_ns - 1) // DAY_NS  # a bar that closes at midnight is the old day's
        if day != self.day:
            self.day, self.day_equity, self.halted = day, self.equity, False
        self.equity = equity
        self.peak = max(self.peak, equity)

    def lost(self, bar: int) -> None:
        """A trade has ended with a loss, in this bar of the session."""
        self.lost_bar = bar

    @property
    def day_is_lost(self) -> bool:
        """Whether the day's loss limit is reached."""
        limit = self.rules.daily_loss_ppm
        return limit > 0 and (self.day_equity - self.equity) * PPM >= limit * self.day_equity

    @property
    def drawn_down(self) -> bool:
        """Whether the limit of the drawdown is reached."""
        limit = self.rules.drawdown_ppm
        return limit > 0 and (self.peak - self.equity) * PPM >= limit * self.peak

    def rearm(self) -> None:
        """A person goes on after a drawdown: it is counted from here."""
        self.peak = self.equity

    def judge(self, wish: Wish, bar: int) -> Verdict:
        """What of an entry is allowed after bar number ``bar``."""
        rules = self.rules
        if self.halted or self.day_is_lost:
            return Verdict(0, "daily loss")
        if self.drawn_down:
            return Verdict(0, "drawdown")
        if self.lost_bar and bar - self.lost_bar < rules.cool_down_bars:
            return Verdict(0, "cool-down")
        most, limit = wish.fraction_ppm, ""
        for name, value in self._caps(wish).items():
            share = max(value, 0) * PPM // self._entry
            if share < most:
                most, limit = share, name
        return Verdict(most, limit)

    def most(self) -> int:
        """The most that an entry may ever be worth now, in quanta: what stands before the wire holds it to that."""
        rules, equity = self.rules, max(self.equity, 0)
        caps = [equity * ppm // PPM for ppm in (rules.position_ppm, rules.exposure_ppm) if ppm]
        return 0 if self.halted or self.drawn_down else min([self._entry, *caps])

    def together(self) -> int:
        """The most that everything in the account may ever be worth now, in quanta: held to before the wire, too."""
        equity = max(self.equity, 0)
        return equity * self.rules.exposure_ppm // PPM if self.rules.exposure_ppm else equity

    def _caps(self, wish: Wish) -> dict[str, int]:
        """The most that the entry may be worth, by limit."""
        rules, equity, caps = self.rules, max(self.equity, 0), {}
        if rules.position_ppm:
            caps["position"] = equity * rules.position_ppm // PPM
        if rules.exposure_ppm:
            caps["exposure"] = equity * rules.exposure_ppm // PPM - wish.exposure_quanta
        if rules.kelly_ppm and wish.probability_ppm is not None and self._loss > 0:
            caps["kelly"] = equity * rules.kelly_ppm * self._kelly(wish.probability_ppm) // PPM // PPM
        return caps

    def _kelly(self, p: int) -> int:
        """Kelly's fraction of the equity to put into the position, ppm: ``(p W - (1 - p) L) / (W L)`` with the net win
        W and the net loss L as parts of the position (Kelly 1956; Thorp 2006, section 2). Without an edge 0."""
        win, loss = self._win, self._loss
        if win <= 0:
            return 0
        return max(p * win - (PPM - p) * loss, 0) * PPM // (win * loss)

    def state(self) -> list[Any]:
        """As JSON, for a snapshot."""
        return [self.equity, self.peak, self.day, self.day_equity, self.halted, self.lost_bar]

    def restore(self, state: list[Any]) -> None:
        """Take back what `state` gave."""
        self.equity, self.peak, self.day, self.day_equity, self.halted, self.lost_bar = state
