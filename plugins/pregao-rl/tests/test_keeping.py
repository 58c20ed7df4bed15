"""What is kept: a file that trades, and a version in MLflow with the gate's verdict; nothing trades by it by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from policies import drawn, follower, waves

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError
from pregao.learning import registry
from pregao.learning.registry import files
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.operations.project import lay_out
from pregao.settings import settings
from pregao_rl import keeping
from pregao_rl.command import main
from pregao_rl.policy import Policy, read
from pregao_rl.training import Knobs


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A project's folder of its own with a market in it that a policy can earn in; its key."""
    lay_out(tmp_path, print)
    monkeypatch.setenv("PREGAO_HOME", str(tmp_path))
    monkeypatch.delenv("PREGAO_MLFLOW_URI", raising=False)
    settings.cache_clear()
    bars = waves(6_000)
    Store().write(bars)
    Versions().commit("waves")
    yield bars.instrument.key
    settings.cache_clear()


def learn_to_follow(known: Bars, rows: np.ndarray, seed: int) -> Policy:
    return follower()


def learn_nothing(known: Bars, rows: np.ndarray, seed: int) -> Policy:
    return drawn(seed)


@pytest.mark.slow
def test_what_the_gate_passes_is_champion_of_its_own_name_and_nobodys_default(
    series: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(learn: keeping.Train, **knobs: int) -> keeping.Kept:
        return keeping.trained(series, "15m", Knobs(**knobs), 1, lambda line: None, learn=learn)

    refused = trained(learn_nothing)
    assert (refused.registered.version, refused.registered.promoted) == ("1", False)
    assert not refused.verdict.passed
    passed = trained(learn_to_follow, steps=30_000)
    assert passed.verdict.passed, [one.text for one in passed.verdict.reasons if not one.passed]
    assert (passed.registered.version, passed.registered.promoted) == ("2", True)
    # Every reason has its figure, the first attempt counted; the same again makes no third version.
    assert all(one.value is not None for one in passed.verdict.reasons if one.name != "champion")
    assert {one.figures.get("tried") for one in passed.verdict.reasons if one.name == "deflated_sharpe"} == {2}
    again = trained(learn_to_follow, steps=30_000)
    assert again.registered.version == "2"
    assert not again.registered.created
    worse = trained(learn_nothing, steps=40_000)
    assert {"champion", "random_entries"} <= worse.verdict.failed

    two, one = (info for info in files.versions(passed.name) if info.version in "12")
    assert two.aliases == ("champion",)
    assert two.gate["passed"] is True
    assert two.promotion["by"] == "gate"
    assert (two.model_digest, two.data_version) == (passed.policy.digest, Versions().current().md5)
    assert one.gate["passed"] is False

    # None of the platform's models, so that no session, flow or page takes it for one.
    assert registry.list_models() == []
    assert passed.name.startswith("pregao-rl.")
    assert registry.champion(passed.name.replace("pregao-rl.", "pregao.")) is None

    main(["list", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [(found["version"], found["aliases"]) for found in listed if found["digest"] == two.model_digest] == [
        ("2", ["champion"])
    ]
    main(["list"])
    assert "11 of 11 reasons, version 2, champion" in capsys.readouterr().out
    passed.path.unlink()
    main(["fetch", series, "--timeframe", "15m"])
    fetched = Path(capsys.readouterr().out.strip())
    assert fetched == passed.path
    assert read(fetched).digest == passed.policy.digest
    with pytest.raises(NotFoundError, match="version or alias"):
        keeping.fetched(series, "15m", "9")


def test_a_name_of_the_platforms_is_refused(series: str) -> None:
    kept = dict.fromkeys(("path", "digest", "workspace", "verdict", "report", "knobs"))
    with pytest.raises(PregaoError, match="name for the platform's own models"):
        files.register("pregao.some.model", **kept)
