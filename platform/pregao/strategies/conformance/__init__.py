"""The conformance kit of strategies: what every strategy must keep, as tests that pytest finds in a subclass.

    from pregao.strategies.conformance import StrategyConformance

    class TestMine(StrategyConformance):
        strategy = "mine"
        config = {"fast": 3}

The strategy is found by its name, as the entry point has it, or is the class itself. ``pregao plugins check mine``
holds it to the same and prints what it found.
"""
# ruff: noqa: D102  # the name of a test says what it holds the strategy to

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar

from pregao.strategies.conformance import form, isolated, past, running, signals, state
from pregao.strategies.conformance.breach import Breach, Outcome, report
from pregao.strategies.conformance.case import Case
from pregao.strategies.contract import JsonDict
from pregao.strategies.registry import load

__all__ = ["CHECKS", "Breach", "Case", "Outcome", "StrategyConformance", "examine", "report"]

CHECKS: dict[str, Callable[[Case], None]] = {
    "keeps the contract": form.keeps_the_contract,
    "its settings make a form": form.settings_make_a_form,
    "reads no clock": isolated.no_clock,
    "opens no socket": isolated.no_network,
    "touches no file, process or thread": isolated.no_side_effects,
    "survives any market": running.survives_any_market,
    "trades, so that there is something to check": running.it_trades,
    "answers the same when run again": running.repeats_itself,
    "does not depend on the hash seed or the process": isolated.no_hash_seed,
    "sees only the past": past.sees_only_the_past,
    "warms up honestly": past.warms_up_honestly,
    "saves all its state": state.saves_all_its_state,
    "keeps no state elsewhere": isolated.no_state_elsewhere,
    "changes nothing that it is given": state.changes_nothing_given,
    "its signals agree with its answers": signals.signals_agree,
    "answers in time": running.answers_in_time,
}
"""The checks in the order in which they are made."""
_FIRST = ("keeps the contract", "its settings make a form", "reads no clock")
"""Without these nothing else can be said: it cannot be made, or does not come to an end."""


def examine(case: Case) -> Iterator[Outcome]:
    """Make all checks, one by one; they end after one of the first that fails so that no other can be made."""
    for name, check in CHECKS.items():
        breach = None
        try:
            check(case)
        except Breach as found:
            breach = found
        except Exception as error:
            breach = Breach(
                f"It raised {type(error).__name__}: {error}.", "See the traceback: run it as a test with pytest."
            )
        yield Outcome(name, breach)
        if breach is not None and name in _FIRST and not _can_go_on(case, name):
            return


def _can_go_on(case: Case, name: str) -> bool:
    if name == "keeps the contract":
        return False
    try:
        case.make()
        if name == "reads no clock":
            isolated.apart(case)
    except Exception:
        return False
    return True


class StrategyConformance:
    """What every strategy must keep.

    Attributes:
        strategy: its name, or the class.
        config: settings with which it trades often.
        deadline: seconds that a call may take.
        anchored: True if its decisions rightly depend on where it began, such as a grid around its first price; then
            its warm-up is not checked.
    """

    strategy: ClassVar[str | type[Any]]
    config: ClassVar[JsonDict] = {}
    deadline: ClassVar[float] = 0.1
    anchored: ClassVar[bool] = False

    @property
    def case(self) -> Case:
        """The strategy with its settings, the same for all tests."""
        found: Any = load(self.strategy) if isinstance(self.strategy, str) else self.strategy
        return _case(found, json.dumps(self.config), self.deadline, self.anchored)

    def test_it_keeps_the_contract(self) -> None:
        form.keeps_the_contract(self.case)

    def test_its_settings_make_a_form(self) -> None:
        form.settings_make_a_form(self.case)

    def test_it_reads_no_clock(self) -> None:
        isolated.no_clock(self.case)

    def test_it_opens_no_socket(self) -> None:
        isolated.no_network(self.case)

    def test_it_touches_no_file_process_or_thread(self) -> None:
        isolated.no_side_effects(self.case)

    def test_it_survives_any_market(self) -> None:
        running.survives_any_market(self.case)

    def test_it_trades(self) -> None:
        running.it_trades(self.case)

    def test_it_answers_the_same_when_run_again(self) -> None:
        running.repeats_itself(self.case)

    def test_it_does_not_depend_on_the_hash_seed_or_the_process(self) -> None:
        isolated.no_hash_seed(self.case)

    def test_it_sees_only_the_past(self) -> None:
        past.sees_only_the_past(self.case)

    def test_it_warms_up_honestly(self) -> None:
        past.warms_up_honestly(self.case)

    def test_it_saves_all_its_state(self) -> None:
        state.saves_all_its_state(self.case)

    def test_it_keeps_no_state_elsewhere(self) -> None:
        isolated.no_state_elsewhere(self.case)

    def test_it_changes_nothing_that_it_is_given(self) -> None:
        state.changes_nothing_given(self.case)

    def test_its_signals_agree_with_its_answers(self) -> None:
        signals.signals_agree(self.case)

    def test_it_answers_in_time(self) -> None:
        running.answers_in_time(self.case)


@cache
def _case(strategy: Any, config: str, deadline: float, anchored: bool) -> Case:
    return Case(strategy, json.loads(config), deadline, anchored)
