"""The checks of a run: any market is survived, there are trades, run again it answers alike, and in time."""

from __future__ import annotations

from time import perf_counter

from pregao.core.bars import Bar
from pregao.features.conformance import futures as extremes
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import MARKETS, SEED, Case, Observer, Recorder, first_difference, futures
from pregao.strategies.contract import Context, Intent


def it_trades(case: Case) -> None:
    """It orders something over the kit's bars, or nothing of what follows would prove anything."""
    if not any("Enter(" in answer for answer in case.answers.values()):
        raise Breach(
            f"It entered nowhere in {len(case.bars)} bars, so that the checks cannot say much.",
            "Choose settings with which it trades often: `config = {…}` in the test, --set on the command line.",
        )


def survives_any_market(case: Case) -> None:
    """Gaps, flat prices, jumps and bars without volume raise nothing, and each answer makes sense."""
    for seed in range(1, MARKETS + 1):
        bars = case.market(seed)
        case.over_history(bars)
        for future in futures(bars, seed).values():
            case.over_history(future)
    wild = extremes(case.bars, SEED)[-1]
    recorder = Recorder(case.make(), wild)
    desk = Observer(case, recorder, held=False)
    for i in range(len(wild)):
        desk.on_bar(wild.bar(i))


def repeats_itself(case: Case) -> None:
    """A second object in the same process answers as the first."""
    one, other = case.answers, case.over_history(case.bars)
    row = first_difference(one, other, len(case.bars))
    if row is not None:
        raise Breach(
            f"The first time it said {one.get(row, 'nothing')}; run again in the same process, "
            f"{other.get(row, 'nothing')}.",
            "Keep state in the object, not in the class or the module, and draw from ctx.rng only.",
            row, case.bars,
        )  # fmt: skip


def answers_in_time(case: Case) -> None:
    """No call takes longer than the deadline, the quicker of two runs counted."""
    runs = []
    for _ in range(2):
        watch = _Stopwatch(case)
        case.over_history(case.bars, watch)
        runs.append(watch.took)
    took = {row: min(run[row] for run in runs if row in run) for row in runs[0]}
    row = max(took, key=lambda at: took[at], default=None)
    if row is not None and took[row] > case.deadline:
        raise Breach(
            f"A call took {took[row] * 1e3:,.0f} ms; {case.deadline * 1e3:,.0f} ms are allowed.",
            "Keep running sums in the object rather than going through the whole past; do what is costly once.",
            row, case.bars,
        )  # fmt: skip


class _Stopwatch(Recorder):
    """Takes the time of each call."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.make(), case.bars)
        self.took: dict[int, float] = {}

    def on_bar(self, ctx: Context, bar: Bar) -> tuple[Intent, ...]:
        began = perf_counter()
        answer = super().on_bar(ctx, bar)
        self.took[self._rows[bar.open_ns]] = perf_counter() - began
        return answer
