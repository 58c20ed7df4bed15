"""The command line: ``pregao COMMAND``. Commands live in `pregao.commands`, imported only when called."""

from __future__ import annotations

import atexit
import gc
import importlib
from typing import Any

import click

from pregao import __version__
from pregao.commands.ending import carry_out
from pregao.settings import keep_quiet

COMMANDS = {
    "up": ("pregao.commands.servers", "Start the Prefect server with the flows, MLflow and the panel"),
    "demo": ("pregao.commands.servers", "Show the whole product working, offline"),
    "doctor": ("pregao.commands.servers", "Check this machine and say what to mend"),
    "ingest": ("pregao.commands.ingest", "Bring market data into the store"),
    "data": ("pregao.commands.market", "Look into the store: list, show, versions, quality"),
    "train": ("pregao.commands.learning", "Train and judge a model, without the servers"),
    "retrain": ("pregao.commands.learning", "Train, judge, register and promote, as the flow does"),
    "models": ("pregao.commands.models", "List the registered models and why the gate passed or refused them; compare"),
    "promote": ("pregao.commands.learning", "Make a version the champion by hand"),
    "calibrate-gate": ("pregao.commands.calibrate", "Measure how often the gate promotes luck, and skill"),
    "backtest": ("pregao.commands.backtest", "Run a strategy over history"),
    "sweep": ("pregao.commands.sweep", "Try many settings of a strategy, and say whether the best is luck"),
    "trade": ("pregao.commands.trade", "Start and steer paper-trading sessions"),
    "audit": ("pregao.commands.audit", "Replay a session's journal and compare every row"),
    "lineage": ("pregao.commands.telling", "Where a session's profit or loss came from"),
    "report": ("pregao.commands.telling", "What a session did, as a tear sheet"),
    "export": ("pregao.commands.keeping", "A session as tables, Parquet or CSV"),
    "backup": ("pregao.commands.keeping", "Copy the sessions to one file while they run"),
    "restore": ("pregao.commands.keeping", "Bring a backup of the sessions back"),
    "password": ("pregao.commands.access", "Set the password of the panel"),
    "token": ("pregao.commands.access", "Let a script into the panel"),
    "plugins": ("pregao.commands.plugins", "List the installed strategies, or check one against the contract"),
    "new-plugin": ("pregao.commands.new_plugin", "Write a strategy of your own to begin with"),
}


class Root(click.Group):
    """Knows every command by name and imports its module only to run it, so that ``--help`` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name, its module imported now; None if there is none."""
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``, from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pregao")
def pregao() -> None:
    """Pregão: a personal AI trader that practises with simulated money on real markets.

    Start with `pregao demo`, or `pregao doctor` if something does not work.
    """
    keep_quiet()


def main(args: list[str] | None = None) -> Any:
    """Run the command line; a `PregaoError` becomes one clear sentence and its exit status."""
    _collect_rarely()
    return carry_out(pregao, "pregao", args)


def _collect_rarely() -> None:
    """Look for garbage less often, and not at all while Python ends.

    A command imports some 100,000 objects that live until its end. To go through them again and again, and once more
    at the end, takes as long as a backtest of 10,000 bars.
    """
    gc.set_threshold(100_000)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
