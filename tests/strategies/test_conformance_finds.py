"""The conformance kit finds what is wrong with a strategy, says where, and lets sound ones pass."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import faulty
import faulty_import
import pytest

from pregao.features.conformance import market
from pregao.strategies.conformance import CHECKS, Breach, Case, StrategyConformance, examine, isolated, past, report


class TestGenerator(StrategyConformance):
    strategy = faulty.Generator
    deadline = 2.0


class TestPatient(StrategyConformance):
    strategy = faulty.Patient
    deadline = 2.0


class TestSignalled(StrategyConformance):
    strategy = faulty.Signalled
    deadline = 2.0


class TestWaitsForSignals(StrategyConformance):
    strategy = faulty.WaitsForSignals
    deadline = 2.0


FILES = "touches no file, process or thread"
APART = [
    (faulty.ReadsTheClock, "reads no clock", r"reads the clock in on_bar: time\.time\(\) \(faulty\.py, line \d+\)"),
    (faulty.ReadsTheClockOfDatetime, "reads no clock", r"now\(\)"),
    (faulty.ReadsTheClockOfPandas, "reads no clock", r"pandas\.Timestamp\.now\(\)"),
    (faulty.ReadsTheClockWhenMade, "reads no clock", r"outside of on_bar: time\.monotonic\(\)"),
    (faulty.ReadsTheClockOfTheLog, "reads no clock", r"time\.time(_ns)?\(\) \(faulty\.py"),
    (faulty.ReadsTheClockInSave, "reads no clock", r"outside of on_bar: time\.gmtime\(\)"),
    (faulty.ReadsTheDay, "reads no clock", r"in on_bar: time\.strftime\(\)"),
    (faulty.SignalsReadTheClock, "reads no clock", r"outside of on_bar: time\.time_ns\(\)"),
    (faulty.OpensASocket, "opens no socket", r"network in on_bar: socket\."),
    (faulty.WritesAFile, FILES, r"wrote to /dev/null"),
    (faulty.ReadsAFile, FILES, r"opened /etc/passwd"),
    (faulty.ReadsAFileCalledCode, FILES, r"opened .*faulty\.py"),
    (faulty.WritesAFileCalledCode, FILES, r"wrote to /dev/null/diary\.pyc"),
    (faulty.ReadsTheMachine, FILES, r"opened /proc/self/stat"),
    (faulty.LooksForAFile, FILES, r"os\.stat\(\)"),
    (faulty.ReadsByTheLoader, FILES, r"opened /etc/passwd"),
    (faulty.ReadsByTheMetadata, FILES, r"opened /etc/passwd"),
    (faulty.AsksWhatIsInstalled, FILES, r"in on_bar: (opened .*METADATA|os\.)"),
    (faulty.ReadsAFileOfItsOwnChoice, FILES, r"outside of on_bar: opened /etc/passwd"),
    (faulty.StartsAProcess, FILES, r"starts a process in on_bar: subprocess\.Popen"),
    (faulty.Forks, FILES, r"starts a process in on_bar: os\.fork"),
    (faulty.LeavesItToAThread, FILES, r"starts a thread in on_bar"),
    (faulty.StartsAThread, FILES, r"starts a thread outside of on_bar: .*\(faulty\.py, line \d+\)"),
    (faulty_import.LeavesAThread, FILES, r"leaves threads running: watcher"),
    (faulty.FindsTheFutureInMemory, "sees only the past", "looks ahead"),
    (faulty.HashSeed, "does not depend on the hash seed or the process", "PYTHONHASHSEED=1 it said"),
    (faulty.KeepsStateInTheModule, "keeps no state elsewhere", "loaded in another process it said"),
]
HERE = [
    (faulty.ReadsTheFutureOfTheBacktest, "sees only the past", "looks ahead|it fails"),
    (faulty.ReadsTheFutureInTheFrames, "sees only the past", "looks ahead|it fails"),
    (faulty.SignalsLookAhead, "sees only the past", r"signals\(\) said . of this bar"),
    (faulty.CentredWindow, "sees only the past", r"signals\(\) said . of this bar"),
    (faulty.Unseeded, "answers the same when run again", r"draw from ctx\.rng only"),
    (faulty.KeepsStateInTheClass, "answers the same when run again", "run again in the same process"),
    (faulty.ForgetsToSave, "saves all its state", "Saved and loaded after bar"),
    (faulty.SavesButDoesNotLoad, "saves all its state", r"load\(\) does not take back"),
    (faulty.SavesWhatIsNoJson, "saves all its state", "is no JSON"),
    (faulty.LiesAboutItsWarmUp, "warms up honestly", "Say a longer warmup"),
    (faulty.SignalsLieAboutTheWarmUp, "its signals agree with its answers", "of the last 13 bars, as live"),
    (faulty.ChangesTheHistory, "changes nothing that it is given", "changes the volume"),
    (faulty.ChangesTheContext, "changes nothing that it is given", r"changes ctx\.now_ns"),
    (faulty.ChangesTheState, "changes nothing that it is given", r"state that load\(\) was given"),
    (faulty.ChangesTheStateWhenSaved, "changes nothing that it is given", r"state that load\(\) was given"),
    (faulty.ChangesItsSettings, "changes nothing that it is given", "changes config"),
    (faulty.IsSlow, "answers in time", r"A call took \d+ ms; 100 ms are allowed"),
    (faulty.SignalsDisagree, "its signals agree with its answers", "By its signals: .*asked bar by bar"),
    (faulty.SaysOnlySignalsWithout, "its signals agree with its answers", "has no signals"),
    (faulty.SignalsOfNonsense, "its signals agree with its answers", "one of -1, 0, 1 and 2"),
    (faulty.NeverTrades, "trades, so that there is something to check", "entered nowhere"),
    (faulty.FailsOnFlatPrices, "survives any market", "on_bar raised ZeroDivisionError"),
    (faulty.AnswersNone, "survives any market", "returned None"),
    (faulty.Undescribed, "its settings make a form", "'window' has no title"),
    (faulty.DefaultOutOfBounds, "its settings make a form", "own defaults are refused: window"),
    (faulty.NoDefault, "its settings make a form", "cannot be made without settings: window"),
    (faulty.NoJson, "its settings make a form", "do not go through JSON"),
    (faulty.NoWholeWarmUp, "keeps the contract", r"warmup\(\) said 5\.5"),
    (
        faulty.OfTheFuture,
        "keeps the contract",
        "written for api 2 of the contract, and this",
    ),
]


def name_of(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else ""


@contextmanager
def few_objects() -> Iterator[None]:
    """What the process holds from other tests is not among the objects that can be listed: it would take a minute."""
    market.cache_clear()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(("strategy", "check", "words"), [*HERE, *APART], ids=name_of)
def test_a_faulty_strategy_is_found_by_the_check_made_for_it(strategy: type[Any], check: str, words: str) -> None:
    searched = few_objects() if strategy is faulty.FindsTheFutureInMemory else nullcontext()
    with searched, pytest.raises(Breach, match=words) as found:
        CHECKS[check](Case(strategy, {}))
    assert found.value.mend


def test_a_file_that_the_settings_name_may_be_read_when_it_is_made_and_not_kept_open(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("dear diary\n")
    with pytest.raises(Breach, match=rf"keeps files open: {diary}"):
        CHECKS[FILES](Case(faulty.KeepsAFileOpen, {"diary": str(diary)}))
    CHECKS[FILES](Case(faulty.ReadsItsDiary, {"diary": str(diary)}))


OF_THE_ISSUE = {
    "peeks by ways that cutting off does not prevent": [faulty.FindsTheFutureInMemory],
    "reads the clock": [faulty.ReadsTheClock, faulty.ReadsTheClockOfPandas, faulty.ReadsTheClockOfTheLog],
    "opens a socket": [faulty.OpensASocket],
    "depends on the hash seed": [faulty.HashSeed],
    "keeps hidden state": [faulty.ForgetsToSave, faulty.KeepsStateInTheModule, faulty.KeepsStateInTheClass],
    "lies about its warm-up": [faulty.LiesAboutItsWarmUp, faulty.SignalsLieAboutTheWarmUp],
    "mutates what it is given": [faulty.ChangesTheHistory, faulty.ChangesTheContext, faulty.ChangesTheState],
    "is slow": [faulty.IsSlow],
    "starts a process or a thread": [faulty.StartsAProcess, faulty.Forks, faulty.StartsAThread],
}
SOUND = {"Sound", "Generator", "Patient", "Signalled", "WaitsForSignals", "ReadsItsDiary"}
ELSEWHERE = {"NeverEnds", "KeepsAFileOpen"}
"""Found by tests of their own."""


def test_each_check_is_proved_by_a_strategy_that_it_finds_and_no_faulty_one_is_left_out() -> None:
    """A new check without a bad strategy fails here, and so does a bad strategy that no test holds against the kit."""
    found = {(strategy, check) for strategy, check, _ in [*HERE, *APART]}
    assert {check for _, check in found} == CHECKS.keys()
    tried = {strategy.__name__ for strategy, _ in found}
    faults = {name for name, one in vars(faulty).items() if isinstance(one, type) and issubclass(one, faulty.Sound)}
    assert tried == faults - SOUND - ELSEWHERE | {"LeavesAThread"}
    for fault, strategies in OF_THE_ISSUE.items():
        assert {one.__name__ for one in strategies} <= tried, fault


def test_one_that_says_that_it_depends_on_its_beginning_is_not_held_to_its_warm_up() -> None:
    past.warms_up_honestly(Case(faulty.LiesAboutItsWarmUp, {}, anchored=True))


@pytest.mark.parametrize("check", ["sees only the past", "survives any market", "saves all its state"])
def test_a_breach_names_its_bar_and_time(check: str) -> None:
    strategy = {
        "sees only the past": faulty.ReadsTheFutureOfTheBacktest,
        "survives any market": faulty.FailsOnFlatPrices,
        "saves all its state": faulty.ForgetsToSave,
    }[check]
    with pytest.raises(Breach) as found:
        CHECKS[check](Case(strategy, {}))
    assert f"At bar {found.value.bar} (closed 20" in str(found.value)


def test_a_strategy_that_never_returns_ends_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "LIMIT", 3.0)
    outcomes = list(examine(Case(faulty.NeverEnds, {})))
    assert [o.passed for o in outcomes] == [True, True, False]
    said = report(outcomes)
    assert "FAIL  reads no clock" in said
    assert "did not come to an end within 3 s" in said
    assert "faulty.py" in said  # where it was


def test_one_that_cannot_be_imported_elsewhere_is_told_so() -> None:
    class Local(faulty.Sound):
        """Nobody can import it."""

    assert Local.__module__ in sys.modules
    with pytest.raises(Breach, match="fails in a process of its own"):
        isolated.apart(Case(Local, {}))


def test_the_class_and_the_command_make_the_same_checks() -> None:
    tests = [name for name in vars(StrategyConformance) if name.startswith("test_")]
    assert len(tests) == len(CHECKS)
