"""The checks that need a process of its own: what a strategy reaches for, and what it carries from elsewhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from functools import cache
from typing import NamedTuple

from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import Answers, Case, Recorder, first_difference
from pregao.strategies.conformance.child import Ask, Told

LIMIT = 60.0
"""Seconds that a run over the bars may take in a process of its own."""
_PATIENCE = 280.0
"""Seconds for the whole process: importing, and compiling where nothing is compiled yet."""
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from pregao.strategies.conformance.child import main
main()
"""
_SEEDS = ("1", "2")
_CUTS = 6
_KINDS = {
    "clock": ("reads the clock", "Use ctx.now_ns or the bar's own times: over history there is no other clock."),
    "socket": (
        "speaks to the network",
        "Fetch before the session, or write a source: what a strategy sees comes with ctx.",
    ),
    "file": ("touches files", "Read what you need when the module is imported; keep state in save() and load()."),
    "process": ("starts a process", "Do the work in on_bar itself."),
    "thread": ("starts a thread", "Do the work in on_bar itself."),
}


class Resumed(NamedTuple):
    """What a second process with another hash seed told, and a desk that was never stopped.

    Attributes:
        cut: the row from which the process went on from a saved state.
        whole: the answers at the desk.
        alone: the answers up to each cut where what follows it was nowhere in the process.
    """

    told: Told
    cut: int
    whole: Answers
    alone: dict[int, Answers]


@cache
def apart(case: Case) -> Told:
    """Run the strategy in a process of its own; a case is run once.

    Raises:
        Breach: if it cannot be run there, or does not come to an end.
    """
    return _run(case, _SEEDS[0])


@cache
def resumed(case: Case) -> Resumed:
    """Run it in another one, which first goes on from a state that was saved here."""
    apart(case)  # tells whether it comes to an end: only then it is run here
    bars, recorder = case.bars, Recorder(case.make(), case.bars)
    desk = case.desk(recorder)
    cut = case.needed + (len(bars) - case.needed) // 2
    for i in range(cut):
        desk.on_bar(bars.bar(i))
    state = base64.b64encode(desk.to_bytes()).decode()
    for i in range(cut, len(bars)):
        desk.on_bar(bars.bar(i))
    cuts = case.cuts(_CUTS, 11)
    told = _run(case, _SEEDS[1], (cut, state), cuts[:: max(len(cuts) // _CUTS, 1)])
    alone = {int(at): _answers(answers) for at, answers in told["alone"].items()}
    return Resumed(told, cut, recorder.answers, alone)


def _run(case: Case, seed: str, resume: tuple[int, str] | None = None, cuts: list[int] | None = None) -> Told:
    ask: Ask = {
        "path": sys.path, "module": case.strategy.__module__, "name": case.strategy.__qualname__,
        "config": case.config, "limit": LIMIT,
    }  # fmt: skip
    if resume is not None:
        ask["resume"] = resume
    if cuts is not None:
        ask["cuts"] = cuts
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path)]
    try:
        done = subprocess.run(
            command, input=json.dumps(ask), env=environment, capture_output=True, text=True, timeout=_PATIENCE,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise Breach(
            f"Importing {case.strategy.__module__} does not come to an end within {_PATIENCE:.0f} s.",
            "Do the work in on_bar, not when the module is imported.",
        ) from late
    if done.returncode == 0:
        told: Told = json.loads(done.stdout)
        return told
    if "Timeout (" in done.stderr:
        raise Breach(
            f"A run over {len(case.bars)} bars did not come to an end within {LIMIT:.0f} s; it was at:\n"
            f"{_tail(done.stderr)}",
            "on_bar must return: look for a loop without an end, a lock, or work that grows with the history.",
        )
    raise Breach(
        f"It fails in a process of its own:\n{_tail(done.stderr)}",
        "Import what it needs itself; keep it in a module that can be imported, not inside a function.",
    )


def _tail(err: str) -> str:
    return "\n".join(f"    {line}" for line in err.strip().splitlines()[-12:])


def _reaches(case: Case, kind: str) -> None:
    for row, found, what, where in apart(case)["seen"]:
        if found == kind:
            when = "in on_bar" if row is not None else "outside of on_bar"
            verb, mend = _KINDS[kind]
            raise Breach(f"It {verb} {when}: {what}" + (f" ({where})." if where else "."), mend, row, case.bars)


def no_clock(case: Case) -> None:
    """It reads no clock."""
    _reaches(case, "clock")


def no_network(case: Case) -> None:
    """It opens no socket."""
    _reaches(case, "socket")


def no_side_effects(case: Case) -> None:
    """It touches no file, starts no process and no thread, when imported, made and asked."""
    for kind in ("file", "process", "thread"):
        _reaches(case, kind)
    held = apart(case)["held"]
    if held:
        raise Breach(f"It keeps files open: {', '.join(held)}.", "Read what you need at once, and close the file.")
    threads = apart(case)["threads"]
    if threads:
        raise Breach(
            f"It leaves threads running: {', '.join(threads)}.", "Do the work in on_bar itself, without threads."
        )


def no_hash_seed(case: Case) -> None:
    """Two processes with different hash seeds answer alike, and this one too."""
    one, other = _answers(apart(case)["answers"]), _answers(resumed(case).told["answers"])
    row = first_difference(one, other, len(case.bars))
    if row is not None:
        raise Breach(
            f"With PYTHONHASHSEED={_SEEDS[0]} it said {_said(one, row)}; with {_SEEDS[1]}, {_said(other, row)}.",
            "Sort sets before going through them, do not use hash() or id(), and draw from ctx.rng only.",
            row, case.bars,
        )  # fmt: skip
    row = first_difference(one, case.answers, len(case.bars))
    if row is not None:
        raise Breach(
            f"In a process of its own it said {_said(one, row)}; here {_said(case.answers, row)}.",
            "Let nothing outside of ctx, the bar and the settings decide: no environment, no state of a module.",
            row, case.bars,
        )  # fmt: skip


def no_state_elsewhere(case: Case) -> None:
    """Loaded in another process, it goes on as if it had never been stopped."""
    told, cut, whole, _ = resumed(case)
    later = _answers(told["resumed"])
    row = first_difference(whole, later, len(case.bars), cut)
    if row is not None:
        raise Breach(
            f"Saved after bar {cut - 1} and loaded in another process it said {_said(later, row)}; "
            f"never stopped, {_said(whole, row)}.",
            "Put all that outlives a call into save(), also what modules and classes hold, and take it back in load().",
            row, case.bars,
        )  # fmt: skip


def _answers(document: dict[str, str]) -> Answers:
    return {int(row): answer for row, answer in document.items()}


def _said(answers: Answers, row: int) -> str:
    return answers.get(row, "that it is not to be asked")
