"""What a flow leaves behind: a page for a person and the same as JSON for a program, both Prefect artifacts."""

from __future__ import annotations

import re
from typing import Any

from prefect.artifacts import Artifact, create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from pregao_flows.client import REPORT
from pregao_flows.messages import Message


def leave(name: str, markdown: str, report: dict[str, Any], description: str) -> None:
    """Attach a report to the flow run.

    Args:
        name: which report, for example ``"gate EDGE/USDT 15m"``; later ones of the same name are its next versions.
        markdown: the page.
        report: the same, JSON-ready; `pregao_flows.client.report` returns it.
        description: one sentence.
    """
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    create_markdown_artifact(markdown, key=key, description=description)
    Artifact(type=REPORT, key=f"{key}-json", description=description, data=report).create()  # type: ignore[call-arg]


def ended_well(message: Message) -> State[Any]:
    """The last state of a run that did what it was for."""
    return Completed(message=message.english)


def ended_badly(message: Message) -> State[Any]:
    """The last state of a run that did not."""
    return Failed(message=message.english)


def table(columns: list[str], rows: list[list[object]]) -> str:
    """A Markdown table; a ``|`` within a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
