"""The meta-model beside a session's model: it may veto an entry, is journaled with its chance, and is asked once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trained_market import market, session, trained

from pregao.core.errors import PregaoError
from pregao.learning import meta_store, registry
from pregao.learning.meta import Meta
from pregao.learning.params import Params, read_params
from pregao.sessions.audit import audit
from pregao.sessions.decisions import decisions
from pregao.sessions.journal import Journal
from pregao.sessions.shadow import every_row
from pregao.settings import settings

pytestmark = pytest.mark.slow
BAR = 900 * 10**9
HELPS = Meta(signals=900, trades=600, kept=0.5, net_all=0.0, net_kept=0.002, p=0.01)
FAILS = Meta(signals=900, trades=600, kept=0.5, net_all=0.0, net_kept=0.002, p=0.4)


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from trained(tmp_path_factory.mktemp("home"), market(bars=3_000))


@pytest.fixture(scope="module")
def journal(name: str) -> Iterator[Journal]:
    opened = Journal()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def params(name: str) -> Params:
    return read_params(settings().home / "params.yaml")


def signals(name: str, version: str = "1", count: int = 1_200) -> pd.DataFrame:
    """Outcomes in which one feature of the model decides, by its sign."""
    features = registry.load(name).meta["features"]
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(count, len(features))), columns=[f"f:{f}" for f in features])
    wins = rng.random(count) < np.where(frame["f:return_1"] > 0, 0.75, 0.15)
    at_ns = np.arange(count) * 8 * BAR
    said = {"at_ns": at_ns, "end_ns": at_ns + 4 * BAR, "net": np.where(wins, 0.0176, -0.0124), "probability": 0.5,
            "expected_value": 0.004, "threshold": 0.001, "unseen": True, "reproduced": True,
            "model_version": version}  # fmt: skip
    return pd.concat([pd.DataFrame(said), frame], axis=1)


def entries(journal: Journal, session_id: str) -> list[dict[str, Any]]:
    rows = every_row(journal, session_id)
    return [row.body for row in rows if row.kind == "intent" and row.body["action"] == "enter"]


def test_it_vetoes_what_it_does_not_trust_and_only_where_it_is_wanted(
    journal: Journal, name: str, params: Params
) -> None:
    without = session(journal, isolated=False)
    digest = meta_store.learn(name, signals(name), HELPS, params.folds, params.model, params.seed)
    assert digest == meta_store.learn(name, signals(name), HELPS, params.folds, params.model, params.seed)
    off, on = session(journal, isolated=False), session(journal, isolated=False, meta="veto")
    assert [r.text for r in every_row(journal, off) if r.kind == "intent"] == [
        r.text for r in every_row(journal, without) if r.kind == "intent"
    ]
    advice = meta_store.in_use(name)
    assert advice is not None
    made = entries(journal, on)
    vetoed = [body for body in made if body["veto"]]
    assert 0 < len(vetoed) < len(made)
    assert all((body["why"], body["acted"]) == ("meta", False) for body in vetoed)
    assert all(body["why"] != "meta" for body in made if not body["veto"])
    assert {body["by"] for body in made} == {advice.digest[:12]}
    assert all(0 < float(body["meta"]) < 1 for body in made)
    assert {body["side"] for body in made} == {"long"}  # never a side, never an entry of its own
    # The chance is that of the features at that bar, and what was vetoed is labelled by simulation.
    frame = decisions(journal, on).frame
    assert set(frame.loc[frame["why"] == "meta", "acted"]) == {False}
    # The journal comes out again without the meta-model: it is never asked twice.
    meta_store.learn(name, signals(name), FAILS, params.folds, params.model, params.seed)
    assert meta_store.in_use(name) is None
    assert audit(journal, on).identical


def test_it_advises_only_on_versions_that_it_has_learnt_from(journal: Journal, name: str, params: Params) -> None:
    meta_store.learn(name, signals(name, "9"), HELPS, params.folds, params.model, params.seed)
    try:
        other = session(journal, isolated=False, meta="veto")
        assert entries(journal, other)
        assert all("meta" not in body for body in entries(journal, other))
    finally:
        meta_store.learn(name, signals(name), FAILS, params.folds, params.model, params.seed)


def test_a_damaged_one_is_told_and_does_not_stop_a_session(
    journal: Journal, name: str, params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    meta_store.learn(name, signals(name), HELPS, params.folds, params.model, params.seed)
    (trees,) = (Path(settings().var) / "meta" / name).glob("*.cbm")
    trees.write_bytes(b"no trees")
    with pytest.raises(PregaoError, match="cannot be used") as caught:
        meta_store.in_use(name)
    assert "the monitor trains it again" in caught.value.mend
    played = session(journal, isolated=False, meta="veto")
    assert journal.session(played).status == "finished"
    assert all("meta" not in body for body in entries(journal, played))
    assert "cannot be used" in caplog.text
