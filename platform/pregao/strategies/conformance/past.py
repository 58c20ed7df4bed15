"""The checks of what a strategy knows: only the past, and all of it that its warm-up promises."""

from __future__ import annotations

import numpy as np

from pregao.core.bars import Bars
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import (
    CUTS,
    Answers,
    Case,
    Observer,
    Recorder,
    first_difference,
    futures,
    joined,
    own_copy,
)
from pregao.strategies.conformance.isolated import resumed

_STARTS = 8


def sees_only_the_past(case: Case) -> None:
    """What it answers is the same whatever comes later: nothing, or other bars."""
    bars, whole = case.bars, case.answers
    for k, cut in enumerate(case.cuts(CUTS, 3)):
        others = {name: joined(bars[:cut], future) for name, future in futures(bars[cut:], k).items()}
        for name, other in {"nothing": bars[:cut], **others}.items():
            try:
                answers = case.over_history(other)
            except Breach as breach:
                if breach.bar is not None and breach.bar >= cut:
                    continue  # `survives_any_market` looks at that
                raise Breach(
                    f"With {name} after bar {cut - 1} it fails: {breach.seen}",
                    "Look at ctx and the bar only; what comes later is not there when it trades.",
                    breach.bar, bars,
                ) from breach  # fmt: skip
            row = first_difference(whole, answers, cut)
            if row is not None:
                raise Breach(
                    f"It said {whole.get(row, 'nothing')}; with {name} after bar {cut - 1}, "
                    f"{answers.get(row, 'nothing')}. So it looks ahead.",
                    "Look at ctx and the bar only; what comes later is not there when it trades.",
                    row, bars,
                )  # fmt: skip
            _same_signals(case, other, cut, name)
    _same_alone(case)


def _same_alone(case: Case) -> None:
    """In a process that has never held what really comes later: who looks through the memory finds nothing there."""
    for cut, answers in resumed(case).alone.items():
        row = first_difference(case.answers, answers, cut)
        if row is not None:
            raise Breach(
                f"It said {case.answers.get(row, 'nothing')}; in a process that holds other bars after bar {cut - 1}, "
                f"{answers.get(row, 'nothing')}. So it looks ahead.",
                "Look at ctx and the bar only; what comes later is not there when it trades.",
                row, case.bars,
            )  # fmt: skip


def _same_signals(case: Case, other: Bars, cut: int, name: str) -> None:
    if not callable(getattr(case.strategy, "signals", None)):
        return
    ours, theirs = (np.asarray(case.make().signals(own_copy(bars)))[:cut] for bars in (case.bars, other))
    if not np.array_equal(ours, theirs):
        row = int(np.flatnonzero(ours != theirs)[0])
        raise Breach(
            f"signals() said {ours[row]} of this bar; with {name} after bar {cut - 1}, {theirs[row]}. "
            "So it looks ahead.",
            "Entry i of signals(history) depends on history[: i + 1] only: no centred windows, no shift by -1, "
            "no mean of the whole.",
            row, case.bars,
        )  # fmt: skip


def warms_up_honestly(case: Case) -> None:
    """Begun later, with as many bars as it says it needs, it answers as if it had seen all of them.

    The account is the same in all runs, flat and then holding, and it is asked at each bar. The first answer is not
    looked at: some only take their bars in then.
    """
    if case.anchored:
        return
    bars, needed = case.bars, case.needed
    for held in (False, True):
        whole = _observed(case, 0, held)
        for start in np.linspace(1, len(bars) - needed - 60, _STARTS).astype(int).tolist():
            late = _observed(case, start, held)
            row = first_difference(whole, late, len(bars), start + needed + 1)
            if row is not None:
                raise Breach(
                    f"Begun at bar {start} with a warm-up of {needed} bars it said {late.get(row, 'nothing')}; "
                    f"having seen all bars, {whole.get(row, 'nothing')}.",
                    "Say a longer warmup(), so long that the beginning no longer shows; or, if its decisions rightly "
                    "depend on where it began, anchored = True in the test, --anchored on the command line.",
                    row, bars,
                )  # fmt: skip


def _observed(case: Case, start: int, held: bool) -> Answers:
    recorder = Recorder(case.make(), case.bars)
    desk = Observer(case, recorder, held)
    desk.warm(case.bars.bar(i) for i in range(start, start + case.needed - 1))
    for i in range(start + case.needed - 1, len(case.bars)):
        desk.on_bar(case.bars.bar(i))
    return recorder.answers
