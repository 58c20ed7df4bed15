"""``pregao up``: the servers, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from os import environ
from threading import Event
from typing import Any

from pregao.operations.project import lay_out
from pregao.operations.servers import Servers, running
from pregao.settings import Settings
from pregao_flows import client

TITLES = {"panel": "Panel", "prefect": "Prefect (flows)", "mlflow": "MLflow (models)"}


def up(
    settings: Settings, say: Callable[[str], None], publish: Callable[[dict[str, Any]], None], *, browser: bool
) -> None:
    """Start the servers, say where they are, open the panel, and keep them running until a signal.

    Args:
        say: prints one line.
        publish: called with the addresses and the seconds once all of them answer.

    Raises:
        PregaoError: a port is taken, another command runs the servers, or one of them does not stay up.
    """
    begun = time.monotonic()
    lay_out(settings.home, say)
    try:
        with running(settings, "pregao up", say) as servers:
            say("Starting the Prefect server, the flows, MLflow and the panel …")
            servers.start()
            servers.wait()
            seconds = round(time.monotonic() - begun, 1)
            say(f"Ready after {seconds} s. Ctrl-C ends all.")
            announce(servers, say)
            client.ask(client.SUPERVISE, {})  # sessions of last time go on now, not at the next full minute
            publish({"addresses": servers.addresses, "seconds": seconds})
            if browser:
                open_browser(servers.addresses["panel"])
            servers.supervise(Event())
    except KeyboardInterrupt:
        pass
    say("Everything that was started has ended.")


def announce(servers: Servers, say: Callable[[str], None]) -> None:
    """The addresses, one a line."""
    for name, title in TITLES.items():
        say(f"  {title:<16} {servers.addresses[name]}")


def open_browser(address: str) -> bool:
    """Open a page in the person's browser; False where there is no screen, since a text browser would take over."""
    if sys.platform.startswith("linux") and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return False
    import webbrowser

    return webbrowser.open(address)
