"""``pregao plugins``: the installed strategies, what is wrong with broken ones, and whether one keeps the contract."""

from __future__ import annotations

import sys

import click

from pregao.commands.output import json_option, print_json, print_table
from pregao.commands.settings_option import set_option, strategy_settings


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> None:
    """List the installed strategies with their version, distribution and state.

    A strategy that fails to import is listed as broken with its error; the others are not disturbed. Install more
    with pip: any distribution with an entry point in the group `pregao.strategies` appears here.
    """
    if context.invoked_subcommand is not None:
        return
    from pregao.strategies.registry import discover

    found = [plugin.inspected() for plugin in discover()]
    if as_json:
        print_json([
            {
                "name": p.name, "title": p.title, "summary": p.summary, "distribution": p.distribution,
                "version": p.version, "state": p.state, "error": p.error, "needs_model": p.needs_model,
            }
            for p in found
        ])  # fmt: skip
        return
    print_table(
        "Strategies",
        ("name", "title", "distribution", "version", "state", ""),
        [(p.name, p.title, p.distribution, p.version, p.state, p.error or p.summary) for p in found],
        "No strategy is installed. Install one with pip, for example: pip install pregao-classics",
    )


@plugins.command()
@click.argument("name")
@set_option
@click.option(
    "--deadline", type=click.FloatRange(0.001, 60), default=0.1, show_default=True, help="Seconds that a call may take."
)
@click.option("--anchored", is_flag=True, help="Its decisions rightly depend on where it began.")
@json_option
def check(name: str, pairs: tuple[str, ...], deadline: float, anchored: bool, as_json: bool) -> None:
    """Hold a strategy to the contract: no peeking, no clock, no hidden state, and more.

    These are the checks of `pregao.strategies.conformance`, which a plugin's own tests make too. Each one that fails
    says at which bar, what was seen and how to mend it; the exit status is then 1. Choose settings with which it trades
    often.
    """
    from pregao.strategies.conformance import Case, Outcome, examine, report
    from pregao.strategies.registry import configured, load

    strategy, config = load(name), strategy_settings(pairs)
    if config:
        configured(name, config)  # a wrong setting is a wrong use, not a fault of the strategy
    case = Case(strategy, config, deadline, anchored)
    outcomes: list[Outcome] = []
    for outcome in examine(case):
        outcomes.append(outcome)
        if not as_json:
            click.echo(report([outcome]))
    failed = sum(not outcome.passed for outcome in outcomes)
    if as_json:
        print_json({
            "strategy": name, "passed": failed == 0,
            "checks": [
                {"check": o.check, "passed": o.passed}
                | ({"bar": b.bar, "time": b.at, "seen": b.seen, "mend": b.mend} if (b := o.breach) is not None else {})
                for o in outcomes
            ],
        })  # fmt: skip
    else:
        click.echo(f"{name}: {failed} of {len(outcomes)} checks failed." if failed else f"{name} keeps the contract.")
    if failed:
        sys.exit(1)
