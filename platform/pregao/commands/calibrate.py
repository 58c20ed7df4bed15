"""`pregao calibrate-gate`: how often the gate promotes luck, and how often what is worth it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, print_json, print_table, progress
from pregao.core.errors import UsageError

if TYPE_CHECKING:
    from pregao.core.bars import Bars

_KINDS = ("garch", "shuffled", "edge1", "edge2")
_TITLES = {
    "garch": "random walks with GARCH volatility",
    "shuffled": "real bars, shuffled in blocks",
    "null": "all without an edge",
    "edge1": "planted edge, net Sharpe ratio 1",
    "edge2": "planted edge, net Sharpe ratio 2",
}
_TOLD_EVERY_S = 20.0
MOST_LUCK, LEAST_SKILL = 0.05, 0.8
"""What the gate is for: promote at most so many of the worthless, and at least so many with a Sharpe ratio of 2."""


@click.command("calibrate-gate")
@click.option("--markets", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Of each kind.")
@click.option(
    "--kinds", default=",".join(_KINDS), show_default=True,
    metavar="KIND[:N],…",
    help="garch: random walks; shuffled: real bars in another order; edge1, edge2: with an edge. N is for --markets.",
)  # fmt: skip
@click.option("--years", type=click.FloatRange(0.5, 50), default=8.0, show_default=True, help="Length of each walk.")
@click.option("--timeframe", default="4h", show_default=True, help="Of the walks' bars, up to 4h.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of the markets.")
@click.option(
    "--real", multiple=True, metavar="INSTRUMENT",
    help="Stored series to shuffle, may be given again; all that are not synthetic and long enough unless given.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; as many as there are cores unless given.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; var/calibration unless given.")
@json_option
def calibrate_gate(
    markets: int,
    kinds: str,
    years: float,
    timeframe: str,
    seed: int,
    real: tuple[str, ...],
    jobs: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure the gate on markets of which it is known whether there is anything to learn.

    Each market goes through the whole of learning, with the knobs and cuts of params.yaml: features, labels,
    walk-forward, report, gate. What is done is kept: the same command goes on where it was stopped.
    """
    from pregao.core.timeframe import Timeframe
    from pregao.features.sets import feature_set
    from pregao.learning.calibration.experiment import Experiment, Results, summary
    from pregao.learning.calibration.markets import Kind
    from pregao.learning.calibration.running import run
    from pregao.learning.others import named
    from pregao.learning.params import read_params
    from pregao.operations.project import lay_out
    from pregao.settings import settings

    lay_out(settings().home, progress)
    counts = {Kind(name): count for name, count in _counts(kinds, markets).items()}
    length = Timeframe.parse(timeframe)
    if length.seconds > 4 * 3_600:
        raise UsageError(f"A random walk has no {length} bars.", "Use 1m to 4h.")
    # One thread for each model: the processes share the cores, and the count is part of the result.
    params = read_params(settings().home / "params.yaml", {"model": {"thread_count": 1}})
    named(feature_set(params.features.set), {})
    shuffles = _real(real) if Kind.SHUFFLED in counts else ()
    experiment = Experiment(params, counts, years, length, seed, shuffles)
    root = out if out is not None else settings().var / "calibration"
    progress(f"{len(experiment.tasks):,} markets of {experiment.bars:,} bars; results in {root / experiment.key}")
    began = time.monotonic()
    rows = run(experiment, root, jobs or _cores(), progress, _Told())
    document = {
        "key": experiment.key,
        "folder": str(Results(root, experiment).folder),
        "bars": experiment.bars,
        "years": years,
        "timeframe": length.name,
        "seed": seed,
        "real": [f"{bars.instrument.key} {bars.timeframe}: {len(bars)} bars" for bars in experiment.real],
        "gate": params.gate.model_dump(mode="json"),
        **summary(rows),
        "wall_seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        print_json(document)
    else:
        _tell(document)


def _counts(kinds: str, markets: int) -> dict[str, int]:
    """How many markets of each kind, in the order of `_KINDS`."""
    found = {}
    for part in filter(None, (part.strip() for part in kinds.split(","))):
        name, _, count = part.partition(":")
        if name not in _KINDS or (count and not (count.isdigit() and int(count))):
            raise UsageError(
                f"{part!r} is no kind of market with its number.",
                f"Use {', '.join(_KINDS)}, each with a number of its own if need be: garch:200.",
            )
        found[name] = int(count) if count else markets
    if not found:
        raise UsageError("No kind of market is named.", f"Use {', '.join(_KINDS)}.")
    return {name: found[name] for name in _KINDS if name in found}


def _real(named: tuple[str, ...]) -> tuple[Bars, ...]:
    """The stored series to shuffle, each in its shortest timeframe that has enough bars and not too many."""
    from pregao.learning.calibration.experiment import LEAST_REAL
    from pregao.market.store import Store

    store = Store()
    known = [store.instrument(name) for name in named] or [i for i in store.instruments() if not i.synthetic]
    found = []
    for instrument in known:
        series = [store.bars(instrument, timeframe) for timeframe in store.timeframes(instrument)]
        if named or any(len(bars) >= LEAST_REAL for bars in series):
            found.append(max(series, key=len))
    return tuple(found)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Told:
    """Progress on standard error: how many, how many promoted, how long it will take; a line now and then."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, of: int, made: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        if not made:
            if done:
                progress(f"{done:,} of {of:,} markets are done already")
            return
        every = 1.0 if sys.stderr.isatty() else _TOLD_EVERY_S
        if now - self._last < every and done < of:
            return
        self._last = now
        left = (now - self._began) / len(made) * (of - done)
        counts = ", ".join(
            f"{kind} {sum(row['promoted'] for row in part)} of {len(part)}"
            for kind in _KINDS
            if (part := [row for row in made if row["kind"] == kind])
        )
        text = f"{done:,} of {of:,} markets, about {_duration(left)} left; promoted now: {counts}"
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", err=True, nl=done == of)
        else:
            progress(text)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _tell(document: dict[str, Any]) -> None:
    print_table(
        f"The gate, measured on markets of {document['years']:g} years of {document['timeframe']} bars",
        ("Markets", "", "Promoted", "Rate", "95 % interval", "Sharpe of the models", "of the oracle"),
        [
            (
                _TITLES[rate["name"]],
                rate["markets"],
                rate["promoted"],
                f"{rate['rate']:.1%}",
                f"{rate['low']:.1%} to {rate['high']:.1%}",
                f"{rate['mean_sharpe']:.2f}",
                "" if rate["mean_oracle"] is None else f"{rate['mean_oracle']:.2f}",
            )
            for rate in document["rates"]
        ],
        "",
    )
    rates = {rate["name"]: rate for rate in document["rates"]}
    null = rates.get("null") or rates.get("garch") or rates.get("shuffled")
    click.echo()
    if null is not None:
        met = "met" if null["rate"] <= MOST_LUCK else "MISSED"
        click.echo(f"Worthless models promoted: {null['rate']:.1%}; at most {MOST_LUCK:.0%} is {met}.")
    if "edge2" in rates:
        edge = rates["edge2"]["rate"]
        met = "met" if edge >= LEAST_SKILL else "MISSED"
        click.echo(f"Models of a market with an edge of 2 promoted: {edge:.1%}; at least {LEAST_SKILL:.0%} is {met}.")
    for name, reasons in document["refused_by"].items():
        if name != "null" and reasons:
            often = sorted(reasons.items(), key=lambda pair: -pair[1])
            click.echo(f"{name}: refused by " + ", ".join(f"{reason} {share:.0%}" for reason, share in often))
    click.echo(f"{document['seconds'] / 60:.1f} minutes of work; results in {document['folder']}")
