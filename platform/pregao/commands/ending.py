"""How a command line ends: done, or one clear sentence on standard error and the exit status that goes with it."""

from __future__ import annotations

import sys
from typing import Any

import click

from pregao.core.errors import PregaoError


def carry_out(command: click.Command, name: str, args: list[str] | None) -> Any:
    """Run a command line, as ``name``, with ``args`` or those of the process; an error ends the process."""
    try:
        return command.main(args=args, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except PregaoError as error:
        click.secho(f"Error: {error.message}", err=True, fg="red")
        if error.mend:
            click.echo(f"  {error.mend}", err=True)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        sys.exit(1)
