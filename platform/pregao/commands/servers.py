"""The servers, the demonstration of the whole product, and the doctor: ``pregao up``, ``demo`` and ``doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from pregao.commands.output import json_option, print_json, print_table, progress
from pregao.settings import settings

browser_option = click.option("--browser/--no-browser", default=True, help="Open the panel in a browser.")


def _nothing(document: dict[str, Any]) -> None:
    """Without --json no document is printed."""


@click.command()
@browser_option
@json_option
def up(browser: bool, as_json: bool) -> None:
    """Start the Prefect server with the flows, MLflow and the panel, and keep them running.

    One Ctrl-C ends all of them, and nothing else. Sessions that run wait where they are, and the next `pregao up`
    goes on with them. Logs are in var/logs.

    \b
    Ports: PREGAO_PANEL_PORT (7860), PREGAO_PREFECT_PORT (4200), PREGAO_MLFLOW_PORT (5000).
    With --json, one document with the addresses as soon as all of them answer.
    """
    from pregao.operations.up import up as run

    run(settings(), progress, print_json if as_json else _nothing, browser=browser)


@click.command()
@click.option("--check", is_flag=True, help="End once headless Chromium has seen the value of the operation move.")
@browser_option
@json_option
def demo(check: bool, browser: bool, as_json: bool) -> None:
    """Show the whole product working, without a network, until Ctrl-C.

    Ingests a synthetic market with a planted edge and one without, and real daily bars of the S&P 500 and NASDAQ;
    trains a model of each synthetic market and puts it through the gate; starts a paper session of the champion on
    the part of the market that it has not seen, and opens the panel. The second time it goes on with what is there.

    With --json, one document with the seconds of each step, the gate's verdicts and the peak memory.
    """
    from pregao.operations.demo import Demo

    Demo(settings(), progress, print_json if as_json else _nothing, check=check, browser=browser and not check).run()


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this machine and this folder: versions, ports, disk, browser, network, databases.

    Each row says the mend of what is wrong. Exit status 1 if something must be mended before `pregao up` can work.
    """
    from pregao.operations.doctor import examine, worst

    findings = examine(settings())
    verdict = worst(findings)
    if as_json:
        print_json({"verdict": verdict, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [(finding.level, finding.check, finding.found, finding.mend) for finding in findings]
        print_table("Doctor", ("", "what", "found", "mend"), rows, empty="")
    sys.exit(1 if verdict == "fail" else 0)
