"""The REST API of a running panel: what it tells, what it does, how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from probe_market import INSTRUMENT


@pytest.fixture(scope="module")
def finished(panel: Any) -> str:
    """A session that has played 400 bars."""
    session_id = panel.session(feed={"speed": 0, "end": 1_700_000_040_000_000_000 + 400 * 60_000_000_000})
    panel.run(session_id).join(60)
    return str(session_id)


def test_health_says_what_answers(panel: Any) -> None:
    told = panel.http.get("/api/health").json()
    assert told["instruments"] == 1
    assert (told["prefect"], told["mlflow"]) == (False, False)


def test_the_market_is_told_from_the_store(panel: Any) -> None:
    (found,) = panel.http.get("/api/instruments").json()
    assert (found["key"], found["synthetic"], found["price_decimals"]) == (INSTRUMENT.key, True, 2)
    assert [(s["timeframe"], s["bars"]) for s in found["series"]] == [("1m", 1_500)]
    bars = panel.http.get("/api/bars", params={"instrument": INSTRUMENT.key, "timeframe": "1m", "limit": 5}).json()
    assert [bar["t"] for bar in bars] == [1_700_000_040 + 60 * i for i in range(1_495, 1_500)]
    before = panel.http.get(
        "/api/bars", params={"instrument": "TEST/USDT", "timeframe": "1m", "limit": 2, "end": bars[0]["t"]}
    ).json()
    assert [bar["t"] for bar in before] == [bars[0]["t"] - 120, bars[0]["t"] - 60]


def test_strategies_come_with_the_schema_of_their_settings(panel: Any) -> None:
    found = {s["name"]: s for s in panel.http.get("/api/strategies").json()}
    assert {"ma-cross", "buy-and-hold"} <= set(found)
    assert found["ma-cross"]["settings"]["properties"]["fast"]["minimum"] == 2
    assert found["ma-cross"]["state"] == "ok"


def test_models_are_an_empty_list_before_the_first_training(panel: Any) -> None:
    assert panel.http.get("/api/models").json() == []


def test_the_document_describes_every_route(panel: Any) -> None:
    paths = panel.http.get("/api/openapi.json").json()["paths"]
    assert {f"/api/v1/sessions{rest}" for rest in ("", "/{session_id}/events", "/{session_id}/commands")} <= set(paths)
    assert "post" in paths["/api/v1/sessions"]


def test_a_session_as_it_stands(panel: Any, finished: str) -> None:
    told = panel.http.get(f"/api/sessions/{finished}").json()
    assert told["status"] == "finished"
    assert told["bars"] == told["bars_total"] == 400
    assert told["equity"] == pytest.approx(told["cash"] + told["pnl"])
    assert told["trades"] > 0
    assert finished in [s["id"] for s in panel.http.get("/api/sessions").json()]


def test_trades_add_up_to_the_result(panel: Any, finished: str) -> None:
    told = panel.http.get(f"/api/sessions/{finished}").json()
    trades = panel.http.get(f"/api/sessions/{finished}/trades", params={"limit": 10_000}).json()
    assert len(trades) == told["trades"]
    assert sum(t["pnl"] > 0 for t in trades) == told["wins"]
    if told["position"] == 0:
        assert sum(t["pnl"] for t in trades) == pytest.approx(told["pnl"])
    last = panel.http.get(f"/api/sessions/{finished}/trades", params={"limit": 1}).json()
    assert last == trades[-1:]


def test_rows_after_a_number_and_the_last_ones(panel: Any, finished: str) -> None:
    rows = panel.http.get(f"/api/sessions/{finished}/rows").json()
    assert [row["s"] for row in rows] == list(range(1, len(rows) + 1))
    assert panel.http.get(f"/api/sessions/{finished}/rows", params={"after": 10, "limit": 3}).json() == rows[10:13]
    assert panel.http.get(f"/api/sessions/{finished}/rows", params={"tail": 7}).json() == rows[-7:]


def spec(**changes: Any) -> dict[str, Any]:
    return {"instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "ma-cross"} | changes


def test_without_prefect_a_session_is_kept_and_says_what_to_do(panel: Any) -> None:
    answer = panel.http.post("/api/sessions", json=spec())
    assert answer.status_code == 201
    told = answer.json()
    assert told["launched"] is False
    assert "pregao up" in told["message"]
    assert panel.http.get(f"/api/sessions/{told['session']}").json()["status"] == "created"
    again = panel.http.post(f"/api/sessions/{told['session']}/start").json()
    assert again["launched"] is False


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"entry_value": -1}, {"entry_value"}),
        ({"take_profit": 0, "stop_loss": 200}, {"take_profit", "stop_loss"}),
        ({"cash": "much"}, {"cash"}),
        ({"mode": "wild"}, {"mode"}),
        ({"leverage": 3}, {"leverage"}),
        ({"feed": {"speed": -1}}, {"feed-speed"}),
    ],
)
def test_a_wrong_spec_is_answered_by_field(panel: Any, changes: dict[str, Any], fields: set[str]) -> None:
    answer = panel.http.post("/api/sessions", json=spec(**changes))
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == fields


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"instrument": "no/such/THING"}, "instrument"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"strategy": "nothing"}, "strategy"),
        ({"config": {"fast": 0}}, "config"),
        ({"entry_value": 9_999_999, "cash": 10}, ""),
    ],
)
def test_what_does_not_exist_is_refused_with_the_mend(panel: Any, changes: dict[str, Any], named: str) -> None:
    before = len(panel.http.get("/api/sessions").json())
    answer = panel.http.post("/api/sessions", json=spec(**changes))
    assert answer.status_code == 422
    told = answer.json()
    assert told["message"]
    if named:
        assert set(told["fields"]) == {named}
    assert len(panel.http.get("/api/sessions").json()) == before


def test_refusals_speak_the_language_of_the_request(panel: Any) -> None:
    answer = panel.http.post("/api/sessions", json=spec(entry_value=-1), headers={"Accept-Language": "pt-BR,pt;q=0.9"})
    assert answer.json()["fields"] == {"entry_value": "Deve ser maior que 0."}


def test_commands_reach_a_running_session(panel: Any) -> None:
    session_id = panel.session(feed={"speed": 20})
    panel.run(session_id)
    assert _wait(panel, session_id, "running")
    assert panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "pause"}).status_code == 202
    assert _wait(panel, session_id, "paused")
    panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "resume"})
    assert _wait(panel, session_id, "running")
    panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "stop"})
    assert _wait(panel, session_id, "stopped")
    refused = panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "pause"})
    assert refused.status_code == 422
    assert "stopped" in refused.json()["message"]


def _wait(panel: Any, session_id: str, status: str) -> bool:
    import time

    for _ in range(200):
        if panel.http.get(f"/api/sessions/{session_id}").json()["status"] == status:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/api/sessions/none", None, 404),
        ("GET", "/api/sessions/none/rows", None, 404),
        ("GET", "/api/sessions/none/events", None, 404),
        ("GET", "/api/sessions/none/trades", None, 404),
        ("POST", "/api/sessions/none/start", {}, 404),
        ("POST", "/api/sessions/none/commands", {"kind": "stop"}, 404),
        ("POST", "/api/sessions/none/commands", {"kind": "explode"}, 422),
        ("POST", "/api/sessions/none/commands", {"kind": "approve", "proposal": "x"}, 422),
        ("GET", "/api/bars?instrument=none&timeframe=1m", None, 404),
        ("GET", "/api/bars?instrument=TEST/USDT&timeframe=9x", None, 422),
        ("GET", "/api/bars?instrument=TEST/USDT&timeframe=1m&limit=0", None, 422),
        ("GET", "/api/nothing/here", None, 404),
        ("GET", "/api/sessions/none/commands", None, 405),
        ("PUT", "/api/sessions", {}, 405),
    ],
)
def test_a_wrong_request_gets_one_clear_sentence(panel: Any, method: str, path: str, body: Any, code: int) -> None:
    answer = panel.http.request(method, path, json=body)
    assert answer.status_code == code
    assert answer.json()["message"]
