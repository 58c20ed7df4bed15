"""The checks of what a strategy keeps: it saves all its state, and changes nothing that it is given."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pregao.core.bars import COLUMNS, Bar, Bars
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import CUTS, Case, Recorder, first_difference, own_copy
from pregao.strategies.contract import Context, Intent, JsonDict
from pregao.strategies.desk import Desk


def saves_all_its_state(case: Case) -> None:
    """Saved and loaded at any bar it goes on as if it had never been stopped."""
    bars = case.bars
    whole = Recorder(case.make(), bars)
    desk = case.desk(whole)
    for i in range(len(bars)):
        desk.on_bar(bars.bar(i))
    for cut in case.cuts(CUTS // 2, 5):
        first = case.desk(Recorder(case.make(), bars))
        for i in range(cut):
            first.on_bar(bars.bar(i))
        state = _saved(first, cut, bars)
        second = Recorder(case.make(), bars)
        desk = case.desk(second)
        desk.restore(state)
        if desk.to_bytes() != state:
            raise Breach(
                f"load() does not take back what save() gave: {_own_state(state)} became "
                f"{_own_state(desk.to_bytes())}.",
                "After load(state), save() must return the same state.",
                cut - 1, bars,
            )  # fmt: skip
        for i in range(cut, len(bars)):
            desk.on_bar(bars.bar(i))
        row = first_difference(whole.answers, second.answers, len(bars), cut)
        if row is not None:
            raise Breach(
                f"Saved and loaded after bar {cut - 1} it said {second.answers.get(row, 'nothing')}; never stopped, "
                f"{whole.answers.get(row, 'nothing')}.",
                "Put all that outlives a call into save() and take it back in load().",
                row, bars,
            )  # fmt: skip


def _own_state(state: bytes) -> Any:
    return json.loads(state)["strategy"]


def _saved(desk: Desk, cut: int, bars: Bars) -> bytes:
    try:
        state = desk.to_bytes()
    except (TypeError, ValueError) as error:
        raise Breach(
            f"What save() returns is no JSON: {error}.",
            "Use numbers, texts, lists and dicts with text keys: float(x) and .tolist() for what numpy made.",
            cut - 1, bars,
        ) from error  # fmt: skip
    if desk.to_bytes() != state:
        raise Breach("Two calls of save() give different states.", "save() must change nothing.", cut - 1, bars)
    return state


def changes_nothing_given(case: Case) -> None:
    """It leaves its settings, the context, the model, the history and a state that it loads as they were.

    ``ctx.closes`` and ``ctx.features`` are its own copies: these it may change.
    """
    half = len(case.bars) // 2
    guard = _Guard(case)
    case.over_history(case.bars[:half], guard)
    state = json.loads(json.dumps(guard.inner.save()))
    before = json.dumps(state, sort_keys=True)
    loaded = case.make()
    loaded.load(state)
    second = _Guard(case, loaded)
    case.over_history(case.bars[half:], second)
    second.inner.save()
    if json.dumps(state, sort_keys=True) != before:
        raise Breach("It changes the state that load() was given.", "Copy the lists and dicts that load() takes.")
    if callable(getattr(case.strategy, "signals", None)):
        history = own_copy(case.bars)
        case.make().signals(history)
        for name in ("open_ns", *COLUMNS, "volume"):
            changed = np.flatnonzero(getattr(history, name) != getattr(case.bars, name))
            if len(changed):
                raise Breach(
                    f"signals() changes the {name} of the history that it was given.",
                    "Work on a copy: history.close.astype(float), or .copy().",
                    int(changed[0]), case.bars,
                )  # fmt: skip


class _Guard(Recorder):
    """Looks at what the strategy was given, before and after each call."""

    def __init__(self, case: Case, strategy: Any = None) -> None:
        super().__init__(case.make() if strategy is None else strategy, case.bars)
        self._config = getattr(self.inner, "config", None)

    def on_bar(self, ctx: Context, bar: Bar) -> tuple[Intent, ...]:
        before = self._seen(ctx)
        answer = super().on_bar(ctx, bar)
        after = self._seen(ctx)
        for name, was in before.items():
            if after[name] != was:
                raise Breach(
                    f"It changes {name}, which it was given: {was} became {after[name]}.",
                    "Keep what changes in attributes of your own, and name them in save().",
                    self._rows[bar.open_ns], self._bars,
                )  # fmt: skip
        return answer

    def _seen(self, ctx: Context) -> JsonDict:
        seen: JsonDict = {
            f"ctx.{name}": getattr(ctx, name) for name in ("instrument", "timeframe", "now_ns", "seed", "missed")
        }
        seen |= {"ctx.model": id(ctx.model), "ctx.log": id(ctx.log), "config": repr(self._config)}
        if ctx.model is not None:
            seen["ctx.model.meta"] = json.dumps(ctx.model.meta, sort_keys=True)
        return seen
