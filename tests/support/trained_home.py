"""A project folder with two versions of a model and sessions that have traded: made once a run of the tests, copied."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from learning_project import in_process, project
from trained_market import BRACKET, KEY, market, session

from pregao.learning import pipeline, registry
from pregao.learning.pipeline import Workspace
from pregao.market.atomic import exclusive
from pregao.sessions.journal import Journal

NAME = "pregao.synthetic.synthetic.EDGE-USDT.15m"
"""The registered model: version 1 is champion, version 2 the challenger."""

UNSEEN = {"instrument": KEY, "timeframe": "15m", "strategy": "catboost-ai", **BRACKET}
"""What a session of the AI on the bars that the champion has not seen is made of."""

_PLACES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("experiments", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Where MLflow's database says where its files are."""


def trained_home(shared: Path, home: Path) -> None:
    """Fill ``home`` with a copy; who asks first makes it in ``shared``, a folder that every worker of the run sees.

    With ``PREGAO_TEST_HOMES``, a folder, it is kept there from run to run, until the code that makes it changes.
    """
    kept = os.environ.get("PREGAO_TEST_HOMES")
    shared = Path(kept) / pipeline.code_version() if kept else shared
    shared.mkdir(parents=True, exist_ok=True)
    made = shared / "trained-home"
    with exclusive(shared / "trained-home.lock", timeout_s=600):
        if not (made / "made").exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            _make(made)
            (made / "made").touch()
    shutil.copytree(made, home, dirs_exist_ok=True)
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        for table, column in _PLACES:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(made), str(home)))


def _make(home: Path) -> None:
    for _ in project(home, [market()]):
        _lighter(home, combinations={"groups": 4, "test_groups": 2})
        first = _trained()
        registry.promote(NAME, first)
        journal = Journal()
        session(journal)
        session(journal, strategy="ma-cross", config={"fast": 5, "slow": 20})
        journal.close()
        _lighter(home, model={"depth": 3})
        _trained()


def _lighter(home: Path, **sections: dict[str, int]) -> None:
    path = home / "params.yaml"
    knobs = yaml.safe_load(path.read_text())
    for name, changed in sections.items():
        knobs[name] |= changed
    path.write_text(yaml.safe_dump(knobs))


def _trained() -> str:
    """Train and register the market's model with the knobs of now; its version."""
    workspace: Workspace = pipeline.prepare(KEY, "15m")
    with pytest.MonkeyPatch.context() as patch:
        verdict = in_process(workspace, patch)
    lock = workspace.root / "dvc.lock"
    lock.write_text("")  # DVC was not asked
    version = registry.log_and_register(workspace, verdict).version
    lock.unlink()  # once it is asked, it begins with none
    return version
