"""The checks of the vectorised form: signals and answers trade alike, and the last bars suffice for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pregao.core.bars import Bars
from pregao.simulation.events import Event
from pregao.strategies.answers import StrategyError
from pregao.strategies.backtest import backtest
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import MARKETS, SEED, Case, Recorder, first_difference, own_copy
from pregao.strategies.seat import signals_over


def signals_agree(case: Case) -> None:
    """By its signals and asked bar by bar it trades alike; signals of its last bars alone say the same."""
    only = bool(getattr(case.strategy, "only_signals", False))
    if not callable(getattr(case.strategy, "signals", None)):
        if only:
            raise Breach("It says only_signals and has no signals().", "Write signals(), or leave only_signals out.")
        return
    for seed in range(1, MARKETS + 1):
        bars = case.market(seed)
        try:
            said = signals_over(case.make(), bars, None)
        except StrategyError as error:
            raise Breach(error.message, error.mend) from error
        if only:
            _trades_alike(case, bars)
        else:
            _last_bars_suffice(case, bars, said)
        _live_as_over_history(case, bars)


def _trades_alike(case: Case, bars: Bars) -> None:
    for exits in (True, False):
        plan = case.plan if exits else replace(case.plan, take_profit_ppm=0, stop_loss_ppm=0)
        recorder = Recorder(case.make(), bars)
        asked = backtest(recorder, bars, plan, seed=SEED).history()
        signalled = backtest(case.make(), bars, plan, seed=SEED).history()
        for one, other in zip([*signalled, None], [*asked, None], strict=False):
            if one != other:
                at = min(event.ts_ns for event in (one, other) if event is not None)
                row = max(int(np.searchsorted(bars.open_ns, at, side="right")) - 1, 0)
                raise Breach(
                    f"By its signals: {_event(one)}; asked bar by bar: {_event(other)}.",
                    "With only_signals, on_bar must say Enter(), Enter('short') or Exit() where signals() says 1, -1 "
                    "or 2, and look at nothing but the bars; else set only_signals = False.",
                    row, bars,
                )  # fmt: skip


def _live_as_over_history(case: Case, bars: Bars) -> None:
    """Live, ``ctx.signal`` is made of the last bars."""
    live = Recorder(case.make(), bars)
    desk = case.desk(live)
    for i in range(len(bars)):
        desk.on_bar(bars.bar(i))
    over = case.over_history(bars)
    row = first_difference(over, live.answers, len(bars))
    if row is not None:
        raise Breach(
            f"Over history it said {over.get(row, 'nothing')}; live, {live.answers.get(row, 'nothing')}.",
            "Where on_bar reads ctx.signal, signals may depend on the last warmup() bars only: say a longer warmup().",
            row, bars,
        )  # fmt: skip


def _event(event: Event | None) -> str:
    return "nothing more" if event is None else repr(event)


def _last_bars_suffice(case: Case, bars: Bars, said: np.ndarray) -> None:
    warmup = max(int(case.make().warmup()), 2)
    rows = np.r_[np.flatnonzero(said)[:40], np.random.default_rng(9).integers(warmup - 1, len(bars), 20)]
    for row in sorted({int(row) for row in rows if row >= warmup - 1}):
        live = int(case.make().signals(own_copy(bars[row - warmup + 1 : row + 1]))[-1])
        if live != said[row]:
            raise Breach(
                f"signals() of all bars says {said[row]}; of the last {warmup} bars, as live, {live}.",
                "Say a longer warmup(), or let signals depend on the last warmup() bars only.",
                row, bars,
            )  # fmt: skip
