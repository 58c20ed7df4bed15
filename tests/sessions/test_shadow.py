"""The challenger in shadow: it trades what the champion's session has seen, and can neither touch it nor see more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from killable import Point, runner
from learning_project import in_process
from trained_market import BRACKET, KEY, market, session, trained

from pregao.cli import pregao
from pregao.core.errors import UsageError
from pregao.learning import pipeline, registry
from pregao.learning.bootstrap import annual, better, sharpe
from pregao.learning.gate import judge
from pregao.learning.params import read_params
from pregao.market.store import Store
from pregao.sessions import champion, shadow
from pregao.sessions.audit import audit
from pregao.sessions.control import spec_of, start
from pregao.sessions.duel import duel, duels
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.settings import settings
from pregao_flows import monitor

pytestmark = pytest.mark.slow
LIVED = ("bar", "intent", "order", "fill")


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A champion, version 1, and two that the gate refused: 2, and 3, the challenger."""
    for made in trained(tmp_path_factory.mktemp("home"), market(bars=3_000)):
        for depth in (1, 4):
            workspace = pipeline.prepare(KEY, "15m", overrides={"model": {"depth": depth, "iterations": 30}})
            with pytest.MonkeyPatch.context() as patch:
                in_process(workspace, patch)
            (workspace.root / "dvc.lock").write_text("")
            cuts = workspace.params.gate.model_copy(update={"min_trades": 10**6})
            registry.log_and_register(workspace, judge(workspace.document("evaluation.json"), cuts))
        assert registry.champion(made) == "1"
        assert registry.aliased(made, registry.CHALLENGER) == "3"
        yield made


@pytest.fixture
def journal(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("PREGAO_DATABASE_URL", f"sqlite:///{tmp_path}/sessions.db")
    settings.cache_clear()
    opened = Journal()
    yield opened
    opened.close()
    settings.cache_clear()


def lived(journal: Journal, session_id: str) -> list[tuple[int, str, str]]:
    return [(row.ts_ns, row.kind, row.text) for row in shadow.every_row(journal, session_id) if row.kind in LIVED]


def ended(journal: Journal, session_id: str) -> dict[str, Any]:
    (body,) = [row.body for row in shadow.every_row(journal, session_id) if row.kind == "finished"]
    return body


def test_it_trades_as_a_session_of_its_own_would_and_leaves_the_champions_alone(journal: Journal, name: str) -> None:
    alone = session(journal, shadow=False, isolated=False)
    assert journal.shadow_of(alone) is None
    with_one = session(journal, isolated=False)
    made = journal.shadow_of(with_one)
    assert made is not None
    assert (made.status, made.trading_version, made.spec.model) == ("finished", "3", name)
    # The champion's session is, row for row, what it is without a shadow.
    assert lived(journal, with_one) == lived(journal, alone)
    assert ended(journal, with_one) == ended(journal, alone)
    # And the shadow is what a session of the challenger is.
    registry.promote(name, "3")
    try:
        its_own = session(journal, shadow=False, isolated=False)
        assert journal.session(its_own).model_version == "3"
        assert lived(journal, made.id) == lived(journal, its_own)
        assert ended(journal, made.id) == ended(journal, its_own)
        assert ended(journal, made.id)["digest"] != ended(journal, with_one)["digest"]
        assert ended(journal, made.id)["trades"] > 0
    finally:
        registry.promote(name, "1")
        registry_challenger(name, "3")
    assert audit(journal, made.id).identical
    assert audit(journal, with_one).identical
    assert journal.unattended(0) == []


def test_of_several_instruments_it_trades_each_as_a_session_of_the_challenger_would(
    journal: Journal, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = market("NOISE/USDT", bars=3_000, seed=8)
    Store().write(noise)
    monkeypatch.setattr(shadow, "_ROWS", 7)  # a moment may lie in two readings
    both = {"also": [noise.instrument.key], "model": name, "isolated": False}
    with_one = session(journal, **both)
    made = journal.shadow_of(with_one)
    assert made is not None
    assert made.status == "finished"
    assert [(each.model, each.version) for each in made.traded_by] == [(name, "3")] * 2
    registry.promote(name, "3")
    try:
        its_own = session(journal, shadow=False, **both)
        assert lived(journal, made.id) == lived(journal, its_own)
        assert ended(journal, made.id) == ended(journal, its_own)
        assert {t.book for t in journal.trades(made.id)} == {0, 1}
    finally:
        registry.promote(name, "1")
        registry_challenger(name, "3")
    found = duel(journal, with_one, read_params(settings().home / "params.yaml").gate)
    assert found is not None
    assert (found["champion"], found["challenger"]) == ("1, 1", "3, 3")
    assert found["bars"] == journal.session(with_one).bars - 1
    assert audit(journal, made.id).identical


# The session has 750 bars: whatever its shadow has done meanwhile, it has not ended when it is killed first.
@pytest.mark.parametrize("point", [Point("after a commit", 300), Point("in the journal's rows", 555)], ids=str)
def test_killed_and_taken_up_again_both_come_to_the_same_end(journal: Journal, name: str, point: Point) -> None:
    whole = session(journal, isolated=False)
    wanted = journal.shadow_of(whole)
    values = {"instrument": KEY, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"speed": 0}, "isolated": False}
    killed = start(spec_of(values | BRACKET), journal)
    for again in (point, Point(point.name, point.nth // 2)):
        process = runner(str(settings().home), journal.url, killed, again)
        process.join(120)
        assert process.exitcode == -9
    rest = journal.shadow_of(killed)
    if rest is not None and not journal.session(killed).active:
        assert [row.id for row in journal.unattended(0)] == [rest.id]
    run(killed, journal)
    found = journal.shadow_of(killed)
    assert wanted is not None
    assert found is not None
    if found.active:  # the session had ended when it was killed: who supervises takes up what is left
        run(found.id, journal)
    for mine, theirs in ((killed, whole), (found.id, wanted.id)):
        assert lived(journal, mine) == lived(journal, theirs)
        assert ended(journal, mine)["digest"] == ended(journal, theirs)["digest"]
    assert audit(journal, found.id).identical


def test_what_is_compared_are_the_bars_of_both_accounts(journal: Journal, name: str) -> None:
    both = session(journal, isolated=False)
    cuts = read_params(settings().home / "params.yaml").gate
    found = duel(journal, both, cuts)
    assert found is not None
    equity = [
        np.array([row.body["eq"] for row in shadow.every_row(journal, one) if row.kind == "bar"], np.float64)
        for one in (both, found["shadow"])
    ]
    returns = [np.diff(one) / one[:-1] for one in equity]
    assert found["bars"] == len(returns[0]) == journal.session(both).bars - 1
    assert found["returns"] == [float(one[-1] / one[0] - 1) for one in equity]
    per_year = 365.25 * 86_400 / 900
    assert found["sharpes"] == pytest.approx([annual(float(sharpe(r)), per_year) for r in returns], rel=1e-9)
    assert found["p"] == better(returns[1], returns[0], BRACKET["horizon"], 2_000, 0)
    assert found["reason"]["passed"] == (found["p"] < cuts.max_champion_p)
    assert [one["session"] for one in duels(journal, name, cuts)] == [both]
    # The monitor keeps it with the version.
    assert monitor.compare_shadow.fn(name) == [{"name": name, **found}]
    assert next(info.shadow for info in registry.list_models(name) if info.version == "3") == [found]
    shown = CliRunner().invoke(pregao, ["trade", "show", both], catch_exceptions=False).stdout
    assert "The challenger, version 3, in shadow" in shown
    assert "that neither has seen" in shown
    of_it = CliRunner().invoke(pregao, ["trade", "show", found["shadow"]], catch_exceptions=False).stdout
    assert f"In shadow: it trades the bars of session {both}" in of_it


def test_it_begins_with_a_challenger_that_comes_later_and_follows_the_next(
    journal: Journal, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a challenger there is no shadow; the next one takes over on the way, and is told apart by its bars."""
    from mlflow import MlflowClient

    monkeypatch.setattr(shadow, "POLL_S", 0.3)
    monkeypatch.setattr(champion, "POLL_S", 0.3)
    MlflowClient().delete_registered_model_alias(name, "challenger")
    values = {
        "instrument": KEY,
        "timeframe": "15m",
        "strategy": "catboost-ai",
        "feed": {"speed": 30},
        "isolated": False,
    }
    followed = start(spec_of(values | BRACKET), journal)
    steps = [(20, "2"), (60, "3")]

    def tick(tick: Any) -> None:
        if tick.session_id != followed or not steps or tick.bars < steps[0][0]:
            return
        if steps[0][1] == "2" or journal.shadow_of(followed) is not None:  # the first must be there to be followed
            registry_challenger(name, steps.pop(0)[1])

    def enough() -> bool:
        made = journal.shadow_of(followed)
        return made is not None and made.trading_version == "3" and made.bars > journal.session(followed).bars // 2

    assert journal.shadow_of(followed) is None
    try:
        run(followed, journal, stop=enough, on_tick=tick)
    finally:
        registry_challenger(name, "3")
    made = journal.shadow_of(followed)
    assert made is not None
    assert (made.model_version, made.trading_version, made.status) == ("2", "3", "running")
    assert [row.body["version"] for row in shadow.every_row(journal, made.id) if row.kind == "model"] == ["3"]
    # It had begun with the session's own first bar: the challenger had learnt from none of them.
    first = [next(r.body["t"] for r in shadow.every_row(journal, i) if r.kind == "bar") for i in (followed, made.id)]
    assert first[0] == first[1]
    found = duel(journal, followed, read_params(settings().home / "params.yaml").gate)
    assert found is not None
    assert found["bars"] < made.bars  # only those since the exchange


def test_a_shadow_is_not_started_by_hand(journal: Journal) -> None:
    values = {"instrument": KEY, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"kind": "shadow", "of": "x"}}
    with pytest.raises(UsageError, match="A shadow is not started"):
        start(spec_of(values | BRACKET), journal)


def registry_challenger(name: str, version: str) -> None:
    """What a training that the gate refused does at its end."""
    from mlflow import MlflowClient

    MlflowClient().set_registered_model_alias(name, "challenger", version)
