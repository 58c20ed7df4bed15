"""``python -m pregao_ui``: run the panel."""

from __future__ import annotations

import socket
import sys

import click

from pregao.core.errors import PregaoError, UsageError
from pregao.settings import keep_quiet, settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 7860]")
@click.option("--host", help="Address to listen on; other than loopback it needs `pregao password`.")
@click.option("--name", "names", multiple=True, help="A further host name under which the panel is asked for.")
def main(port: int | None, host: str | None, names: tuple[str, ...]) -> None:
    """Pregão's control panel. It prints its address when it answers; Ctrl-C ends it."""
    keep_quiet()
    try:
        host, port = host or settings().host, port or settings().panel_port
        _check(host, port)
        from pregao_ui.app import serve

        serve(host, port, names)
    except PregaoError as error:
        click.secho(f"Error: {error.message}", err=True, fg="red")
        if error.mend:
            click.echo(f"  {error.mend}", err=True)
        sys.exit(error.exit_status)


def _check(host: str, port: int) -> None:
    """Refuse what cannot work before the seconds of imports."""
    from pregao_ui.security import check_host

    check_host(host)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"The panel cannot listen on {host}:{port}: {error.strerror}.", "Choose another with --port."
            ) from None


if __name__ == "__main__":
    main()
