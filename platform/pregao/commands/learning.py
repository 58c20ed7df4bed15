"""Commands of learning: `pregao train`, `retrain` and `promote`; `pregao models` is in `models`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pregao.commands.models import name_of, shown
from pregao.commands.output import json_option, print_json, print_table, progress

if TYPE_CHECKING:
    from pregao.learning.retraining import RetrainReport

F = TypeVar("F", bound=Callable[..., Any])

_FIGURES = (
    ("Net return", "net_return", "{:+.2%}"),
    ("Sharpe ratio", "sharpe", "{:.2f}"),
    ("Sortino ratio", "sortino", "{:.2f}"),
    ("Calmar ratio", "calmar", "{:.2f}"),
    ("Maximum drawdown", "max_drawdown", "{:.2%}"),
    ("Trades", "trades", "{:.0f}"),
    ("Hit rate", "hit_rate", "{:.1%}"),
    ("Profit factor", "profit_factor", "{:.2f}"),
    ("Exposure", "exposure", "{:.1%}"),
    ("Turnover", "turnover", "{:.1f}"),
)


def _series_options(command: F) -> F:
    """The series to learn from, and the bracket to learn about."""
    for option in reversed((
        click.argument("instrument"),
        click.option("--timeframe", help="Length of the bars; the shortest in the store unless given."),
        click.option("--data-version", help="As `pregao data versions` lists it; the current one unless given."),
        click.option("--take-profit", type=float, help="Per cent of the entry price; params.yaml's unless given."),
        click.option("--stop-loss", type=float, help="Per cent of the entry price; params.yaml's unless given."),
        click.option("--horizon", type=int, help="Bars until a trade is closed anyway; params.yaml's unless given."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_series_options
@json_option
def train(as_json: bool, **options: Any) -> None:
    """Train and judge a model of INSTRUMENT, without registering it.

    INSTRUMENT is a key (source/venue/symbol) or an unambiguous symbol. The model learns from all but the newest part
    of the bars (params.yaml: holdout) and is judged out of sample by a purged walk-forward, costs paid.
    """
    from pregao.learning.retraining import train as run

    _show(_run(run, **options), as_json)


@click.command()
@_series_options
@json_option
def retrain(as_json: bool, **options: Any) -> None:
    """Train, judge and register a model of INSTRUMENT; it becomes champion only if the gate passes it.

    What has not changed since the last time is not computed again, and the very same model is not registered twice.
    """
    from pregao.learning.retraining import retrain as run

    _show(_run(run, **options), as_json)


@click.command()
@click.argument("version")
@click.option("--model", help="Registered name, or a part of it that fits one only; needed if there are several.")
@json_option
def promote(version: str, model: str | None, as_json: bool) -> None:
    """Make VERSION the champion by hand, whatever the gate said; recorded as such.

    VERSION is a number or an alias: `pregao promote previous` goes back to the champion of before.
    """
    from pregao.learning import registry

    info = registry.promote(name_of(model, registry.list_models()), version)
    if as_json:
        print_json(asdict(info))
        return
    click.echo(f"Version {info.version} of {info.name} is champion now.")
    if not info.gate["passed"]:
        click.echo("The gate had refused it; this promotion is recorded as made by hand.")


def _run(run: Callable[..., RetrainReport], instrument: str, **options: Any) -> RetrainReport:
    from pregao.market.store import Store
    from pregao.operations.project import lay_out
    from pregao.settings import settings

    store = Store()
    timeframe = options["timeframe"]
    if timeframe is None:
        known = store.instrument(instrument)
        timeframe = next((t.name for t in store.timeframes(known)), "1d")
    lay_out(settings().home, progress)
    bracket = {key: options[key] for key in ("take_profit", "stop_loss", "horizon") if options[key] is not None}
    overrides = {"plan": bracket} if bracket else None
    return run(instrument, timeframe, version=options["data_version"], overrides=overrides, progress=progress)


def _show(report: RetrainReport, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
        return
    figures, held = report.report["trading"], report.report["buy_and_hold"]
    prediction, luck = report.report["prediction"], report.report["random"]
    print_table(
        f"{report.name}, out of sample",
        ("", "Model", "Buy and hold"),
        [(title, shown(figures[key], form), shown(held[key], form)) for title, key, form in _FIGURES],
        "",
    )
    click.echo(
        f"\nAUC {shown(prediction['auc'], '{:.3f}')}, log loss {shown(prediction['log_loss'], '{:.4f}')}, "
        f"Brier {shown(prediction['brier'], '{:.4f}')}, IC {shown(prediction['ic'], '{:.3f}')}; random entries "
        f"bring {shown(luck['mean'], '{:+.2%}')} on average"
    )
    click.echo(f"\nThe gate {'passes' if report.gate['passed'] else 'refuses'} this model:")
    for reason in report.gate["reasons"]:
        click.echo(f"  {'ok ' if reason['passed'] else 'NO '} {reason['text']}")
        if not reason["passed"] and reason["advice"]:
            click.echo(f"       {reason['advice']}")
    if report.version is not None:
        state = "new" if report.created else "already there"
        click.echo(f"\nVersion {report.version} ({state}); champion is {report.champion or 'none'}.")
