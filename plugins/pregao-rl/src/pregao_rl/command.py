"""``pregao-rl``: train a policy on a pinned version of the data, let the gate judge it, and list what there is."""

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
@json_option
def train(instrument: str, timeframe: str, steps: int, episode: int, seeds: int, as_json: bool) -> None:
    """Train policies fold by fold, judge them, and keep one learnt from all.

    params.yaml has the operation, the features, the folds and the cuts of the gate, as for `pregao retrain`.
    """
    from pregao_rl.keeping import trained

    policy, path, judged = trained(
        instrument, timeframe, Knobs(steps, episode), seeds, lambda line: click.echo(line, err=True)
    )
    verdict = judged.verdict.to_json()
    if as_json:
        report = {key: value for key, value in judged.report.items() if key != "curve"}
        print_json({"policy": path, "digest": policy.digest, "gate": verdict, "report": report})
        return
    for reason in verdict["reasons"]:
        click.echo(f"{'passed' if reason['passed'] else 'failed'}  {reason['text']}")
    click.echo(f"{path}\nNot promoted, as ever. Watch it: pregao backtest --strategy rl-policy --set policy={path} …")


@rl.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The policies that there are, the newest last."""
    from pregao_rl.keeping import kept

    found: list[dict[str, Any]] = kept()
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one['path']}  {one['instrument']} {one['timeframe']}, {one['passed']} of {one['asked']} reasons")
    if not found:
        click.echo("There are no policies yet: pregao-rl train INSTRUMENT --timeframe 15m", err=True)


def main(args: list[str] | None = None) -> None:
    """Run the command line; an error becomes one clear sentence and its exit status."""
    carry_out(rl, "pregao-rl", args)
