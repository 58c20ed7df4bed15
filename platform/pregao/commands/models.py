"""Commands about registered models: `pregao models` and `pregao models compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, print_json, print_table
from pregao.core.errors import UsageError, unknown

if TYPE_CHECKING:
    from pregao.learning.lineage import ModelInfo

_FORMS = {"percent": "{:+.2%}", "number": "{:.4f}", "count": "{:.0f}"}
_TOP = 12
"""Features that are listed, the weightiest first."""


class _Models(click.Group):
    """Without the name of a subcommand it lists: `pregao models [MODEL]`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` before what names no subcommand."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Models)
def models() -> None:
    """List the registered models and why the gate passed or refused them; compare two.

    `pregao models [MODEL]` is `pregao models list [MODEL]`.
    """


@models.command("list")
@click.argument("model", required=False)
@json_option
def list_(model: str | None, as_json: bool) -> None:
    """List the registered models, newest first, and why the gate passed or refused them.

    MODEL is a registered name or a part of it that fits one only.
    """
    from pregao.learning.model import COMPILED
    from pregao.learning.registry import list_models

    found = list_models()
    if model is not None:
        name = name_of(model, found)
        found = [info for info in found if info.name == name]
    if as_json:
        print_json([asdict(info) for info in found])
        return
    print_table(
        "Models",
        ("Model", "Version", "For", "Gate", "AUC", "Net return", "Sharpe", "Trades", "Data", "Made (UTC)"),
        [_row(info) for info in found],
        "No model is registered yet. Train one with `pregao retrain INSTRUMENT`.",
    )
    for info in found:
        if info.inference not in ("", COMPILED):
            click.echo(f"\n{info.name} version {info.version} is evaluated by {info.inference}.")
        refused = [r["text"] for r in info.gate["reasons"] if not r["passed"]]
        if refused:
            click.echo(f"\n{info.name} version {info.version} was refused:")
            for text in refused:
                click.echo(f"  - {text}")
        _tell_shadow(info.shadow, f"{info.name}, in")


@models.command()
@click.argument("one")
@click.argument("other")
@click.option("--model", help="Registered name, or a part of it that fits one only; needed if there are several.")
@json_option
def compare(one: str, other: str, model: str | None, as_json: bool) -> None:
    """Two versions side by side: figures, folds, features, the gate's reasons.

    ONE and OTHER are numbers or aliases (champion, challenger, previous), or NAME@VERSION of different models.
    """
    from pregao.learning.portrait import side_by_side
    from pregao.learning.registry import list_models

    found = list_models()
    chosen = [_version(text, model, found) for text in (one, other)]
    document = side_by_side(*chosen)
    if as_json:
        print_json(document)
        return
    titles = [f"{name} {version}" if chosen[0][0] != chosen[1][0] else f"version {version}" for name, version in chosen]
    print_table(
        "Out of sample",
        ("", *titles, "better"),
        [
            (
                f"{figure['section']} {figure['key']}".replace("_", " "),
                *(shown(value, _FORMS[figure["form"]]) for value in figure["values"]),
                "" if figure["better"] is None else titles[figure["better"]],
            )
            for figure in document["figures"]
        ],
        "",
    )
    click.echo()
    print_table(
        "Share of the decisions, per cent",
        ("feature", *titles),
        [(row["words"], *(shown(share, "{:.1f}") for share in row["shares"])) for row in document["importance"][:_TOP]],
        "",
    )
    for place, title in enumerate(titles):
        refused = [row["reasons"][place]["text"] for row in document["gate"]
                   if row["reasons"][place] is not None and not row["reasons"][place]["passed"]]  # fmt: skip
        click.echo(f"\n{title}: " + ("passed by the gate" if not refused else "refused:"))
        for text in refused:
            click.echo(f"  - {text}")
    _tell_shadow(document["shadow"], "In")
    if document["differ"]:
        click.echo(f"\nNot of the same thing: they differ in {', '.join(document['differ']).replace('_', ' ')}.")


def _tell_shadow(duels: Sequence[Mapping[str, Any]], begins: str) -> None:
    """How a challenger has done in shadow of the champion's sessions, as the monitor saw it last."""
    for duel in duels:
        mine, theirs = (shown(value, _FORMS["percent"]) for value in duel["returns"])
        click.echo(
            f"\n{begins} shadow of session {duel['session']}, {duel['bars']:,} bars: version {duel['challenger']} "
            f"{theirs}, version {duel['champion']} {mine}. {duel['reason']['text']}"
        )


def _version(text: str, model: str | None, found: list[ModelInfo]) -> tuple[str, str]:
    """A name and a version or alias."""
    name, at, version = text.rpartition("@")
    return (name_of(name, found), version) if at else (name_of(model, found), text)


def shown(value: float | None, form: str) -> str:
    """A figure by a format, or a dash for none."""
    return "-" if value is None else form.format(value)


def _row(info: ModelInfo) -> tuple[str, ...]:
    made = datetime.fromtimestamp(info.created_ns / 1e9, UTC)
    by_hand = " (by hand)" if info.promotion.get("by") == "person" and "champion" in info.aliases else ""
    metrics = info.metrics
    return (
        info.name,
        info.version,
        ", ".join(info.aliases) + by_hand,
        "passed" if info.gate["passed"] else "refused",
        shown(metrics.get("auc"), "{:.3f}"),
        shown(metrics.get("net_return"), "{:+.2%}"),
        shown(metrics.get("sharpe"), "{:.2f}"),
        shown(metrics.get("trades"), "{:.0f}"),
        info.data_version[:10],
        f"{made:%Y-%m-%d %H:%M}",
    )


def name_of(wanted: str | None, found: list[ModelInfo]) -> str:
    """The registered name that is meant: the exact one, the one that contains the text, or the only one."""
    names = sorted({info.name for info in found})
    if wanted in names:
        return str(wanted)
    fits = [name for name in names if wanted is None or wanted.casefold() in name.casefold()]
    if len(fits) == 1:
        return fits[0]
    if not names:
        raise unknown("model", wanted or "", [], "No model is registered yet. Train one with `pregao retrain`.")
    if not fits:
        raise unknown("model", str(wanted), names)
    raise UsageError(f"{len(fits)} models fit.", f"Name one with --model: {', '.join(fits[:8])}.")
