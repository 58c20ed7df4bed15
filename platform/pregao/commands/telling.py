"""The commands `pregao report` and `pregao lineage`: what a session did, and where its figures come from."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, print_json, progress

if TYPE_CHECKING:
    from pregao.core.instrument import Instrument
    from pregao.sessions.lineage import Step


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the tear sheet with its plots.")
@click.option("--language", type=click.Choice(["en", "pt"]), default="en", show_default=True, help="Of the tear sheet.")
@json_option
def report(session_id: str, html: Path | None, language: str, as_json: bool) -> None:
    """What a session did so far: its figures, its trades and costs, beside buying and holding over the same bars.

    The same sheet as a backtest's. The account is made again from the journal on the way, so a report of a journal
    that was changed is refused.
    """
    from pregao.commands.backtest_text import show
    from pregao.reporting.document import document
    from pregao.reporting.gather import sheet_of
    from pregao.reporting.tearsheet import write_tearsheet
    from pregao.sessions.as_backtest import result_of
    from pregao.sessions.journal import Journal
    from pregao.simulation.baselines import held_beside

    with closing(Journal()) as journal:
        row = journal.session(session_id)
        result = result_of(journal, session_id)
        started = next(iter(journal.rows(session_id, 0, 1))).body
    held = held_beside(result)
    sheet = sheet_of(
        result,
        row.spec.strategy,
        held=held,
        data_version=str(started.get("data_version") or ""),
        model=row.models_text,
        settings={"session": session_id, "mode": row.spec.mode, **row.spec.config},
        command=f"pregao report {session_id}",
    )
    if html is not None:
        write_tearsheet(sheet, html, language)
        progress(f"Wrote {html}")
    if as_json:
        print_json(document(sheet) | {"session": session_id, "status": row.status})
    else:
        show(sheet)


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option(
    "--seq", type=int, default=None, help="Row of the journal; default the last. `trade watch --json` has them."
)
@json_option
def lineage(session_id: str, seq: int | None, as_json: bool) -> None:
    """Where a session's profit or loss came from.

    From the figure to the fill before it, its order, the decision and what was seen then, the model's version, the run
    that trained it, the version of the data and of the code. Each is named by its row or its id, to be looked up.
    """
    from pregao.sessions.journal import Journal
    from pregao.sessions.lineage import lineage as trace

    with closing(Journal()) as journal:
        row = journal.session(session_id)
        steps = trace(journal, session_id, seq)
    if as_json:
        print_json({"session": session_id, "steps": [step._asdict() for step in steps]})
        return
    for step in steps:
        click.echo(f"{step.what:<9} {_place(step):<9} {_facts(step, *row.instruments)}".rstrip())


def _place(step: Step) -> str:
    return "" if step.seq is None else f"row {step.seq}"


def _facts(step: Step, *instruments: Instrument) -> str:
    from pregao.sessions.telling import moment

    f: dict[str, Any] = step.facts
    instrument = instruments[f.get("b", 0)]
    whose = f"{f['symbol']} " if "symbol" in f else ""
    match step.what:
        case "figure" if f:
            worth = f"P&L {f['pnl']:+,.2f} {instrument.quote}, equity {f['eq']:,.2f}"
            held = f", position {instrument.quantity_text(f['pos'])}" if "pos" in f else ""
            said = f"{worth}{held}, at {moment(f['t'])} UTC"
        case "fill" if f:
            did, why = "bought" if f["side"] > 0 else "sold", f["role"].replace("_", " ")
            what = f"{instrument.quantity_text(f['qty'])} at {instrument.price_text(f['price'])}"
            said = f"{whose}{did} {what} ({why}, {f['rule']}), fee {f['fee']:,.2f}"
        case "order" if f:
            said = f"{whose}{f['order']} {f['role'].replace('_', ' ')} {f['id']}, accepted at {moment(f['ts'])} UTC"
        case "decision" if f:
            odds = f", probability {f['p']:.1%}, worth {f['ev']:+.3%}" if f.get("p") is not None else ""
            top = "; ".join(f"{name} {weight:+.2f}" for name, weight in f.get("top") or [])
            said = f"{whose}{f.get('action', f.get('command'))}: {f.get('reason', f.get('outcome'))}{odds}" + (
                f" ({top})" if top else ""
            )
        case _:
            said = ", ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in f.items() if v not in (None, ""))
    return f"{said}{' - ' if said and step.note else ''}{step.note}"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
