"""A project folder to learn in, and the pipeline's stages without DVC."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pregao.core.bars import Bars
from pregao.learning import pipeline, stages
from pregao.learning.gate import Verdict, judge
from pregao.learning.pipeline import Workspace
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

ROOT = Path(__file__).parents[2]


def project(home: Path, markets: list[Bars]) -> Iterator[Path]:
    """A project folder with these markets, light knobs, and an empty registry, as this process's home."""
    shutil.copy(ROOT / "dvc.yaml", home)
    knobs = yaml.safe_load((ROOT / "params.yaml").read_text())
    knobs["model"] |= {"iterations": 60, "learning_rate": 0.1}
    knobs["gate"]["min_trades"] = 20
    knobs["random_runs"] = 40
    (home / "params.yaml").write_text(yaml.safe_dump(knobs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREGAO_HOME", str(home))
        for name in ("PREGAO_DATABASE_URL", "PREGAO_MLFLOW_URI", "PREGAO_DVC_REMOTE"):
            patch.delenv(name, raising=False)
        settings.cache_clear()
        for bars in markets:
            Store().write(bars)
        Versions().commit("markets")
        yield home
    settings.cache_clear()


def in_process(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """The stages without DVC, as fast as they go."""
    monkeypatch.chdir(workspace.root)
    for stage in pipeline.STAGES:
        assert stages.main([stage]) == 0
    return judge(workspace.document("evaluation.json"), workspace.params.gate)
