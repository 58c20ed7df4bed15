"""``pregao-rl``: train policies on a pinned version of the data, let the gate judge them, list and fetch them."""

from __future__ import annotations

from typing import Any

import click

from pregao.commands.ending import carry_out
from pregao.commands.output import json_option, print_json
from pregao.settings import keep_quiet
from pregao_rl.training import Knobs

_KNOBS = Knobs()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def rl() -> None:
    """Reinforcement learning for Pregão: experimental, judged by the same gate, and never the default."""
    keep_quiet()


@rl.command()
@click.argument("instrument")
@click.option("--timeframe", required=True, help="Such as 15m.")
@click.option(
    "--steps", default=_KNOBS.steps, show_default=True, type=click.IntRange(1_000), help="Bars lived through."
)
@click.option(
    "--episode", default=_KNOBS.episode, show_default=True, type=click.IntRange(10), help="Bars of an episode."
)
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 20), help="Policies a fold; all count.")
@click.option(
    "--combinations",
    is_flag=True,
    help="Compute the probability of overfitting even where the gate has refused the policy already: fifteen more "
    "trainings a seed.",
)
@json_option
def train(
    instrument: str, timeframe: str, steps: int, episode: int, seeds: int, combinations: bool, as_json: bool
) -> None:
    """Train policies fold by fold, judge them, keep one learnt from all, and register it in MLflow.

    params.yaml has the operation, the features, the folds and the cuts of the gate, as for `pregao retrain`.
    """
    from pregao_rl.keeping import trained

    found = trained(
        instrument, timeframe, Knobs(steps, episode), seeds, lambda line: click.echo(line, err=True),
        combinations=combinations,
    )  # fmt: skip
    verdict, stands = found.verdict.to_json(), found.registered
    if as_json:
        report = {key: value for key, value in found.report.items() if key != "curve"}
        print_json({
            "policy": found.path, "digest": found.policy.digest, "gate": verdict, "report": report,
            "name": found.name, "version": stands.version, "promoted": stands.promoted,
        })  # fmt: skip
        return
    for reason in verdict["reasons"]:
        click.echo(f"{'passed' if reason['passed'] else 'failed'}  {reason['text']}")
    became = ", champion of its name" if stands.promoted else ""
    click.echo(f"{found.path}\nVersion {stands.version} of {found.name}{became}.")
    click.echo(f"Nothing trades by it by itself: pregao backtest --strategy rl-policy --set policy={found.path} …")


@rl.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The policies that there are, the newest last, and which versions they are in MLflow."""
    from pregao_rl.keeping import kept

    found: list[dict[str, Any]] = kept()
    if as_json:
        print_json(found)
        return
    for one in found:
        version = ", ".join([f"version {one['version']}" if one["version"] else "not in MLflow", *one["aliases"]])
        judged = f"{one['passed']} of {one['asked']} reasons"
        click.echo(f"{one['path']}  {one['instrument']} {one['timeframe']}, {judged}, {version}")
    if not found:
        click.echo("There are no policies yet: pregao-rl train INSTRUMENT --timeframe 15m", err=True)


@rl.command()
@click.argument("instrument")
@click.option("--timeframe", required=True, help="Such as 15m.")
@click.option("--version", default="champion", show_default=True, help="A number or an alias.")
def fetch(instrument: str, timeframe: str, version: str) -> None:
    """Write a version that is in MLflow as a file here, to trade by, and print its path."""
    from pregao_rl.keeping import fetched

    click.echo(str(fetched(instrument, timeframe, version)))


def main(args: list[str] | None = None) -> None:
    """Run the command line; an error becomes one clear sentence and its exit status."""
    carry_out(rl, "pregao-rl", args)
