"""The checks that need no process of their own. Each takes a `Case` and raises a `Breach`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from pydantic import ValidationError

from pregao.core.bars import COLUMNS, Bar, Bars
from pregao.features.conformance import futures as extremes
from pregao.simulation.events import Event
from pregao.strategies.answers import StrategyError
from pregao.strategies.backtest import backtest
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import (
    SEED,
    Answers,
    Case,
    Recorder,
    first_difference,
    futures,
    joined,
)
from pregao.strategies.contract import Account, Context, Intent, JsonDict
from pregao.strategies.desk import Desk
from pregao.strategies.registry import breach_of
from pregao.strategies.seat import signals_over

_CUTS = 12
_STARTS = 8
_MARKETS = 3


def keeps_the_contract(case: Case) -> None:
    """It has what the contract names, a title, a summary and a warm-up of whole bars."""
    lacks = breach_of(case.strategy)
    if lacks:
        raise Breach(f"It does not keep the contract: {lacks}.", "See pregao.strategies.contract.")
    title = getattr(case.strategy, "title", "")
    if not (isinstance(title, str) and title.strip()):
        raise Breach("It has no title.", 'Write title = "…" in the class: people choose it by that.')
    if not (case.strategy.__doc__ or "").strip():
        raise Breach("It has no docstring.", "Its first line is the summary in `pregao plugins`.")
    warmups = [case.make().warmup() for _ in range(2)]
    if any(type(warmup) is not int or warmup < 1 for warmup in warmups) or warmups[0] != warmups[1]:
        raise Breach(
            f"warmup() said {warmups[0]!r} and then {warmups[1]!r}.",
            "Return a whole number, at least 1, that follows from the settings.",
        )


def settings_make_a_form(case: Case) -> None:
    """Each setting is described; the defaults are valid; the settings go through JSON unchanged."""
    config = case.strategy.Config
    for name, field in config.model_fields.items():
        for what in ("title", "description"):
            if not (getattr(field, what) or "").strip():
                raise Breach(
                    f"The setting {name!r} has no {what}.",
                    f'Write Field(…, title="…", description="…"): the form shows the {what}.',
                )
    try:
        made = config()
    except ValidationError as error:
        raise Breach(
            f"It cannot be made without settings: {_problems(error)}.", "Give each setting a default that is valid."
        ) from error
    try:
        config.model_validate(made.model_dump())
    except ValidationError as error:
        raise Breach(f"Its own defaults are refused: {_problems(error)}.", "Bring defaults and bounds together.") from (
            error
        )
    given = config(**case.config)
    try:
        text = given.model_dump_json()
        again = config.model_validate_json(text)
        json.dumps(config.model_json_schema())
    except Exception as error:
        raise Breach(
            f"Its settings do not go through JSON: {type(error).__name__}: {error}.",
            "Use numbers, texts, booleans and lists of them; write a validator that also takes what JSON gives back.",
        ) from error
    if again != given:
        raise Breach(
            f"Its settings are others after JSON: {given!r} became {again!r}.",
            "Keep a setting as it was given; compute what follows from it in the strategy.",
        )
    if not config.model_config.get("frozen") or config.model_config.get("extra") != "forbid":
        raise Breach(
            "Its settings can be changed, or take names that do not exist.",
            "Leave model_config as StrategyConfig has it: frozen, and extra forbidden.",
        )


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())


def it_trades(case: Case) -> None:
    """It orders something over the kit's bars, or nothing of what follows would prove anything."""
    if not any("Enter(" in answer for answer in case.answers.values()):
        raise Breach(
            f"It entered nowhere in {len(case.bars)} bars, so that the checks cannot say much.",
            "Choose settings with which it trades often: `config = {…}` in the test, --set on the command line.",
        )


def survives_any_market(case: Case) -> None:
    """Gaps, flat prices, jumps and bars without volume raise nothing, and each answer makes sense."""
    for seed in range(1, _MARKETS + 1):
        bars = case.market(seed)
        case.over_history(bars)
        for future in futures(bars, seed).values():
            case.over_history(future)
    wild = extremes(case.bars, SEED)[-1]
    recorder = Recorder(case.make(), wild)
    desk = _Observer(case, recorder, held=False)
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


def sees_only_the_past(case: Case) -> None:
    """What it answers is the same whatever comes later: nothing, or other bars."""
    bars, whole = case.bars, case.answers
    for k, cut in enumerate(case.cuts(_CUTS, 3)):
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


def _same_signals(case: Case, other: Bars, cut: int, name: str) -> None:
    if not callable(getattr(case.strategy, "signals", None)):
        return
    ours, theirs = (np.asarray(case.make().signals(_own(bars)))[:cut] for bars in (case.bars, other))
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
    desk = _Observer(case, recorder, held)
    desk.warm(case.bars.bar(i) for i in range(start, start + case.needed - 1))
    for i in range(start + case.needed - 1, len(case.bars)):
        desk.on_bar(case.bars.bar(i))
    return recorder.answers


class _Observer(Desk):
    """A desk whose strategy is asked at each bar and whose orders go nowhere: the account is always the same."""

    def __init__(self, case: Case, recorder: Recorder, held: bool) -> None:
        ready = case.desk(recorder)
        super().__init__(case.plan, recorder, SEED, ready._features, ready.model)
        price = float(case.bars.close[0]) * self._tick
        self._seen = Account(10_000.0, 9_000.0, 1_000 / price, price, 5, False) if held else Account(
            10_000.0, 10_000.0, 0.0, 0.0, 0, False
        )  # fmt: skip

    def market(self, bar: Bar) -> list[Event]:
        """The bar comes; nothing fills."""
        self.saw(bar, [])
        return []

    def apply(self, intents: Iterable[Intent]) -> list[Event]:
        """Nothing is ordered or waited for."""
        return []

    def account(self) -> Account:
        """Always the same."""
        return self._seen


def saves_all_its_state(case: Case) -> None:
    """Saved and loaded at any bar it goes on as if it had never been stopped."""
    bars = case.bars
    whole = Recorder(case.make(), bars)
    desk = case.desk(whole)
    for i in range(len(bars)):
        desk.on_bar(bars.bar(i))
    for cut in case.cuts(_CUTS // 2, 5):
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
    guard = _Guard(case)
    case.over_history(case.bars, guard)
    state = json.loads(json.dumps(guard.inner.save()))
    before = json.dumps(state, sort_keys=True)
    loaded = case.make()
    loaded.load(state)
    second = _Guard(case, loaded)
    case.over_history(case.bars, second)
    if json.dumps(state, sort_keys=True) != before:
        raise Breach("It changes the state that load() was given.", "Copy the lists and dicts that load() takes.")
    if callable(getattr(case.strategy, "signals", None)):
        history = _own(case.bars)
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


def signals_agree(case: Case) -> None:
    """By its signals and asked bar by bar it trades alike; signals of its last bars alone say the same."""
    only = bool(getattr(case.strategy, "only_signals", False))
    if not callable(getattr(case.strategy, "signals", None)):
        if only:
            raise Breach("It says only_signals and has no signals().", "Write signals(), or leave only_signals out.")
        return
    for seed in range(1, _MARKETS + 1):
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
        live = int(case.make().signals(_own(bars[row - warmup + 1 : row + 1]))[-1])
        if live != said[row]:
            raise Breach(
                f"signals() of all bars says {said[row]}; of the last {warmup} bars, as live, {live}.",
                "Say a longer warmup(), or let signals depend on the last warmup() bars only.",
                row, bars,
            )  # fmt: skip


def _own(bars: Bars) -> Bars:
    """The same bars in arrays that nobody else holds."""
    columns = (getattr(bars, name).copy() for name in ("open_ns", *COLUMNS, "volume"))
    return Bars.trusted(bars.instrument, bars.timeframe, *columns)


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
