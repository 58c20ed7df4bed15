"""A project folder with a synthetic market and a champion of it, made without DVC's processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from learning_project import in_process, project

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.learning import pipeline, registry
from pregao.market.sources import Request
from pregao.market.sources.synthetic import Synthetic, SyntheticOptions
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run

KEY = "synthetic/synthetic/EDGE-USDT"
BRACKET = {"take_profit": 2, "stop_loss": 1, "horizon": 48}


def market(symbol: str = "EDGE/USDT", bars: int = 3_000, edge: float = 2.0, seed: int = 7) -> Bars:
    """Bars of 15 minutes."""
    asked = Request((symbol,), Timeframe.parse("15m"), None, None, SyntheticOptions(bars=bars, edge=edge, seed=seed))
    series = next(iter(Synthetic().fetch(asked)))
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


def trained(home: Path, bars: Bars) -> Iterator[str]:
    """The registered name of the champion, in a project folder that is this process's home."""
    for _ in project(home, [bars]):
        knobs = yaml.safe_load((home / "params.yaml").read_text())
        knobs["combinations"] = {"groups": 4, "test_groups": 2}  # it is promoted whatever the gate says
        (home / "params.yaml").write_text(yaml.safe_dump(knobs))
        yield champion_of(bars.instrument.key, "15m")


def champion_of(instrument: str, timeframe: str) -> str:
    """Train a model in this process and promote it, whatever the gate says; its registered name."""
    workspace = pipeline.prepare(instrument, timeframe)
    with pytest.MonkeyPatch.context() as patch:
        verdict = in_process(workspace, patch)
    (workspace.root / "dvc.lock").write_text("")  # DVC was not asked
    made = registry.log_and_register(workspace, verdict)
    registry.promote(workspace.name, made.version)
    return workspace.name


def session(journal: Journal, **changes: object) -> str:
    """Play a session of the AI to its end; its id."""
    values = {"instrument": KEY, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"speed": 0}, **BRACKET}
    session_id = start(spec_of(values | changes), journal)
    run(session_id, journal)
    return session_id
