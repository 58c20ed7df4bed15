"""The conformance kit finds what is wrong: sets that look ahead, drift, forget, or make up values, fail their test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pregao.features import sets
from pregao.features.conformance import FeatureConformance
from pregao.features.family import CLOSE, VOLUME, Family
from pregao.features.sets import FeatureSet

SIZE = 8


def sound(state: Any, _: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """The return over the last bar."""
    for i in range(len(close_ns)):
        out[at + i * stride] = np.log(rows[i, CLOSE] / state[1]) if state[0] else np.nan
        state[0], state[1] = state[0] + 1, rows[i, CLOSE]


def next_bar(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """The return over the next bar where it is known: the oldest mistake of all."""
    for i in range(len(close_ns)):
        out[at + i * stride] = rows[i + 1, CLOSE] / rows[i, CLOSE] - 1 if i + 1 < len(close_ns) else 0.0


def of_all_time(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """The close beside the mean of all that came before, scaled by the whole sample."""
    scale = rows[:, CLOSE].std() + 1
    for i in range(len(close_ns)):
        state[0] += 1
        state[1] += rows[i, CLOSE]
        out[at + i * stride] = (rows[i, CLOSE] - state[1] / state[0]) / scale


def drifting(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """A smoothed volume that never forgets its beginning quite."""
    for i in range(len(close_ns)):
        state[0] += 1
        state[1] += (rows[i, VOLUME] - state[1]) / 30
        out[at + i * stride] = state[1]


def zero_first(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """A return that is zero where there is none."""
    sound(state, bar_ns, close_ns, rows, out, at, stride)
    if not state[0] - len(close_ns):
        out[at] = 0.0


def infinite(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """A ratio to a volume that is zero at times."""
    with np.errstate(all="ignore"):
        out[at : at + len(close_ns) * stride : stride] = rows[:, CLOSE] / rows[:, VOLUME]


_kept = [0.0]


def kept_elsewhere(state: Any, bar_ns: int, close_ns: Any, rows: Any, out: Any, at: int, stride: int) -> None:
    """A return whose last close is not in the state."""
    for i in range(len(close_ns)):
        out[at + i * stride] = np.log(rows[i, CLOSE] / _kept[0]) if state[0] else np.nan
        state[0], _kept[0] = state[0] + 1, rows[i, CLOSE]


def faults(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Which tests of the kit a set of this one feature fails."""
    made = FeatureSet("made", (Family("made", 1, {"feature": "its formula"}, 2, SIZE, run),))
    monkeypatch.setitem(sets.FEATURE_SETS, "made", made)
    kit = type("Kit", (FeatureConformance,), {"features": "made"})()
    failed = set()
    for name in dir(kit):
        # a set of this process is not known to another, in which the compiler is off
        if name.startswith("test_") and name != "test_without_the_compiler_it_is_the_same":
            try:
                getattr(kit, name)()
            except AssertionError:
                failed.add(name.removeprefix("test_"))
    return failed


def test_a_sound_set_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(sound, monkeypatch) == set()


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (next_bar, "the_past_does_not_see_the_future"),
        (next_bar, "bar_by_bar_gives_what_the_batch_gives"),
        (of_all_time, "the_past_does_not_see_the_future"),
        (drifting, "started_anywhere_it_is_equal_once_warm"),
        (zero_first, "what_has_no_value_for_want_of_history_is_missing_and_not_zero"),
        (infinite, "each_feature_has_values_that_differ_and_none_is_infinite"),
        (kept_elsewhere, "saved_and_restored_anywhere_it_goes_on_alike"),
    ],
)
def test_an_unsound_set_fails(run: Callable[..., None], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault in faults(run, monkeypatch)
