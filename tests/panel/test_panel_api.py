"""The REST API of a running panel: what it tells, what it does, how it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from probe_market import INSTRUMENT, START_NS
from waiting import wait
from yahoo import YahooServer

from pregao.core.bars import COLUMNS
from pregao.sessions import control
from pregao.sessions.spec import SessionSpec


@pytest.fixture(scope="module")
def finished(panel: Any) -> str:
    """A session that has played 400 bars."""
    session_id = panel.session(feed={"speed": 0, "end": 1_700_000_040_000_000_000 + 400 * 60_000_000_000})
    panel.play(session_id)
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


def test_sources_are_listed_and_told_one_by_one(panel: Any) -> None:
    names = panel.http.get("/api/v1/data/sources").json()
    assert {"ccxt", "files", "synthetic"} <= set(names)
    told = panel.http.get("/api/v1/data/sources/synthetic").json()
    assert (told["name"], told["live"], told["error"]) == ("synthetic", False, "")
    assert "seed" in told["options"]["properties"]
    assert panel.http.get("/api/v1/data/sources/none").status_code == 404
    assert panel.http.get("/api/v1/settings/sources").status_code == 404


def test_what_a_source_offers_is_found_by_words(panel: Any, yahoo: YahooServer) -> None:
    def ask(name: str, **query: Any) -> Any:
        return panel.http.get(f"/api/v1/data/sources/{name}/instruments", params=query)

    assert ask("yfinance", text="apple").json() == [
        {"symbol": "AAPL", "name": "Apple Inc.", "exchange": "NMS", "asset_class": "stock"}
    ]
    usd = ask("yfinance", text="usd").json()
    assert {one["symbol"] for one in usd} == {"BTC-USD", "SHIB-USD"}
    assert ask("yfinance", text="usd", limit=1).json() == usd[:1]
    assert ask("yfinance", text="zzyzx").json() == []
    for name, query, status in (
        ("yfinance", {}, 422),  # all of it is too much
        ("yfinance", {"text": "x" * 101}, 422),
        ("sample", {"text": "btc"}, 422),
        ("none", {"text": "btc"}, 404),
        ("ccxt", {"text": "btc", "exchange": "none"}, 422),
        ("ccxt", {"text": "btc"}, 503),  # as without a network
    ):
        answer = ask(name, **query)
        assert (answer.status_code, bool(answer.json()["message"])) == (status, True), (name, query)


def test_a_source_that_is_away_or_asks_for_patience_says_so(panel: Any, yahoo: YahooServer) -> None:
    yahoo.fail(search=True, status=429, headers={"Retry-After": "60"})
    address, query = "/api/v1/data/sources/yfinance/instruments", {"text": "general electric"}
    answer = panel.http.get(address, params=query, headers={"Accept-Language": "pt-BR"})
    assert answer.status_code == 503
    assert answer.json()["message"].startswith("O Yahoo não respondeu a 'general electric': pede que o deixem em paz")
    assert answer.json()["mend"] == "Tente de novo em 60 s."


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


def test_a_replay_begins_after_stored_bars(panel: Any) -> None:
    start_ns = START_NS + 300 * 60_000_000_000
    session_id = panel.session(feed={"speed": 0, "start": start_ns})
    told = panel.http.get(f"/api/sessions/{session_id}/before", params={"end": start_ns / 1e9, "limit": 220}).json()
    query = {"instrument": INSTRUMENT.key, "timeframe": "1m", "end": start_ns / 1e9, "limit": 220}
    assert told == panel.http.get("/api/bars", params=query).json()
    assert len(told) == 220
    far = {"end": 1e11, "limit": 1}  # more than 64 bits of ns
    (last,) = panel.http.get(f"/api/sessions/{session_id}/before", params=far).json()
    assert last["t"] == 1_700_000_040 + 60 * 1_499
    assert panel.http.get(f"/api/sessions/{session_id}/before").json() == []  # where it begins is not told
    assert panel.http.get("/api/sessions/gone/before").status_code == 404


def test_a_live_session_begins_after_the_bars_that_it_was_warmed_up_on(panel: Any, trading: YahooServer) -> None:
    feed = {"kind": "live", "source": "yfinance", "symbol": "NEWCO"}
    values = {"instrument": "yfinance/yahoo/NEWCO", "timeframe": "1m", "feed": feed}
    session_id = panel.session(config={"fast": 3, "slow": 40}, **values)
    before = f"/api/sessions/{session_id}/before"
    assert panel.http.get(before).json() == []  # not begun, and not in the store
    panel.run(session_id)
    wait(lambda: panel.journal.session(session_id).status == "running")
    told = panel.http.get(before, params={"limit": 1_000}).json()
    (warmed,) = (row.body["bars"] for row in panel.journal.rows(session_id) if row.kind == "warmed")
    assert len(told) == len(warmed) >= 40
    assert [bar["t"] * 10**9 for bar in told] == [bar[0] for bar in warmed]
    assert told[-1]["t"] + 60 <= trading.now
    minutes = trading.stocks["NEWCO"].minutes
    at = int(minutes["time"].searchsorted(told[-1]["t"]))
    true = {short: round(int(minutes[name][at]) * 0.01, 2) for short, name in zip("ohlc", COLUMNS, strict=True)}
    assert {name: told[-1][name] for name in "ohlc"} == true
    assert told[-1]["v"] == minutes["volume"][at]
    assert panel.http.get(before, params={"limit": 5, "instrument": "NEWCO"}).json() == told[-5:]
    assert panel.http.get(before, params={"instrument": "AAPL"}).status_code == 404
    assert panel.http.get(before, params={"end": told[-5]["t"], "limit": 10}).json() == told[-15:-5]
    panel.let_go()


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
        ({"config": {"fast": 0}}, "config-fast"),
        ({"entry_value": 9_999_999, "cash": 10}, "entry_value"),
        ({"trailing": True, "stop_loss_price": 90}, "trailing"),
        ({"also": ["synthetic/synthetic/TEST-USDT"] * 2}, "also"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_mend(panel: Any, changes: dict[str, Any], named: str) -> None:
    before = len(panel.http.get("/api/sessions").json())
    answer = panel.http.post("/api/sessions", json=spec(**changes))
    assert answer.status_code == 422
    told = answer.json()
    assert told["message"]
    assert set(told["fields"]) == {named}
    assert len(panel.http.get("/api/sessions").json()) == before


def test_refusals_speak_the_language_of_the_request(panel: Any) -> None:
    answer = panel.http.post("/api/sessions", json=spec(entry_value=-1), headers={"Accept-Language": "pt-BR,pt;q=0.9"})
    assert answer.json()["fields"] == {"entry_value": "Deve ser maior que 0."}


def test_commands_reach_a_running_session(panel: Any) -> None:
    session_id = panel.session(feed={"speed": 5})
    panel.run(session_id)
    _reaches(panel, session_id, "running")
    assert panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "pause"}).status_code == 202
    _reaches(panel, session_id, "paused")
    panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "resume"})
    _reaches(panel, session_id, "running")
    panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "stop"})
    _reaches(panel, session_id, "stopped")
    refused = panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "pause"})
    assert refused.status_code == 422
    assert "stopped" in refused.json()["message"]


def _reaches(panel: Any, session_id: str, status: str) -> None:
    wait(lambda: panel.http.get(f"/api/sessions/{session_id}").json()["status"] == status)


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


def test_both_versions_of_the_path_answer_alike(panel: Any, finished: str) -> None:
    for path in ("strategies", f"sessions/{finished}", f"sessions/{finished}/trades"):
        assert panel.http.get(f"/api/v1/{path}").json() == panel.http.get(f"/api/{path}").json()


def test_sessions_are_found_and_paged(panel: Any, finished: str) -> None:
    for _ in range(3):
        panel.session(mode="observe")
    every = panel.http.get("/api/v1/sessions")
    ids = [s["id"] for s in every.json()]
    assert every.headers["x-total-count"] == str(len(ids))
    assert "link" not in every.headers
    walked, path = [], "/api/v1/sessions?limit=2"
    while path:
        page = panel.http.get(path)
        walked += [s["id"] for s in page.json()]
        panel.session(mode="auto") if len(walked) == 2 else None  # what is new moves no page
        path = page.links.get("next", {}).get("url")
    assert walked == ids

    def found(**query: Any) -> list[dict[str, Any]]:
        return list(panel.http.get("/api/v1/sessions", params=query).json())

    assert {s["mode"] for s in found(mode="observe")} == {"observe"}
    assert {s["status"] for s in found(status=["finished", "stopped"])} <= {"finished", "stopped"}
    assert finished in {s["id"] for s in found(status="finished", instrument="TEST/USDT", strategy="ma-cross")}
    assert [s["id"] for s in found(text=finished.upper())] == [finished]
    assert found(text="no such thing") == []
    assert panel.http.get("/api/v1/sessions?after=none").status_code == 404
    assert panel.http.get("/api/v1/sessions?status=happy").json()["field"] == "status-0"


def test_a_start_that_is_sent_twice_starts_one_session(panel: Any) -> None:
    key = {"Idempotency-Key": "pressed-twice"}
    before = len(panel.http.get("/api/sessions").json())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: panel.http.post("/api/v1/sessions", json=spec(), headers=key), range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["session"] for a in answers}) == 1
    # Another process, as after a restart: nothing of it is in the panel's memory.
    assert (
        control.start(SessionSpec.model_validate(spec()), panel.journal, "pressed-twice")
        == answers[0].json()["session"]
    )
    assert len(panel.http.get("/api/sessions").json()) == before + 1
    other = panel.http.post("/api/v1/sessions", json=spec(entry_value=500), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert "new key" in other.json()["mend"]
    without = [panel.http.post("/api/v1/sessions", json=spec()).json()["session"] for _ in range(2)]
    assert len(set(without)) == 2


def test_a_clone_asks_the_same_but_for_the_changes(panel: Any, finished: str) -> None:
    asked = panel.http.get(f"/api/v1/sessions/{finished}/spec").json()
    answer = panel.http.post(f"/api/v1/sessions/{finished}/clone", json={"entry_value": 500, "feed": {"speed": 7}})
    assert answer.status_code == 201
    told = panel.http.get(f"/api/v1/sessions/{answer.json()['session']}/spec").json()
    assert told["feed"]["speed"] == 7
    assert told["feed"]["start"] == asked["feed"]["start"]
    different = {name for name in asked if name != "feed" and told[name] != asked[name]}
    assert different == {"entry_value"}
    wrong = panel.http.post(f"/api/v1/sessions/{finished}/clone", json={"entry_value": -5})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "entry_value")


def test_the_equity_keeps_its_extremes(panel: Any, finished: str) -> None:
    bars = [r for r in panel.http.get(f"/api/v1/sessions/{finished}/rows").json() if r["k"] == "bar"]
    told = panel.http.get(f"/api/v1/sessions/{finished}/equity", params={"points": 10}).json()
    assert len(told["times"]) == len(told["equity"]) <= 40
    assert max(told["equity"]) == max(r["eq"] for r in bars)
    assert min(told["equity"]) == min(r["eq"] for r in bars)
    assert told["equity"][-1] == bars[-1]["eq"]
    whole = panel.http.get(f"/api/v1/sessions/{finished}/equity", params={"points": 4_000}).json()
    assert whole["equity"] == [r["eq"] for r in bars]


def test_a_command_can_be_asked_for_its_outcome_and_a_paused_session_resumed(panel: Any) -> None:
    session_id = panel.session(feed={"speed": 5})
    panel.run(session_id)
    _reaches(panel, session_id, "running")
    number = panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "pause"}).json()["command"]
    _reaches(panel, session_id, "paused")
    told = panel.http.get(f"/api/v1/sessions/{session_id}/commands/{number}").json()
    assert (told["kind"], told["outcome"]) == ("pause", "done")
    assert panel.http.post(f"/api/v1/sessions/{session_id}/resume").json()["launched"] is True
    _reaches(panel, session_id, "running")
    assert panel.http.get(f"/api/v1/sessions/{session_id}/commands/{number + 999}").status_code == 404
    panel.http.post(f"/api/sessions/{session_id}/commands", json={"kind": "stop"})
    _reaches(panel, session_id, "stopped")
    assert panel.http.post(f"/api/v1/sessions/{session_id}/resume").status_code == 422


def test_what_has_not_changed_is_not_sent_again(panel: Any, finished: str) -> None:
    for path in (f"/api/v1/sessions/{finished}", f"/api/v1/sessions/{finished}/rows", "/api/v1/strategies"):
        answer = panel.http.get(path)
        again = panel.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_every_problem_has_the_one_shape(panel: Any) -> None:
    shape = {"code", "message", "mend", "field", "fields"}
    answers = [
        panel.http.get("/api/v1/sessions/none"),
        panel.http.get("/api/v1/nothing"),
        panel.http.patch("/api/v1/sessions"),
        panel.http.get("/api/v1/health", headers={"Host": "evil.example"}),
        panel.http.get("/api/v1/health", headers={"Origin": "https://evil.example"}),
        panel.http.post("/api/v1/sessions", content=b"{", headers={"Content-Type": "application/json"}),
        panel.http.post("/api/v1/sessions", content=b"x" * 300_000, headers={"Content-Type": "application/json"}),
        panel.http.post("/api/v1/sessions", json=spec(entry_value=-1)),
    ]
    assert [a.status_code for a in answers] == [404, 404, 405, 400, 403, 422, 413, 422]
    for answer in answers:
        told = answer.json()
        assert set(told) == shape
        assert told["message"]
    assert (answers[-1].json()["field"], answers[-1].json()["code"]) == ("entry_value", "invalid")


def test_keys_and_addresses_go_in_and_never_come_out(panel: Any) -> None:
    secret, address = "kEy-0123456789-vErY-sEcReT", "json://user:pass-very-secret@127.0.0.1:9/hook"
    put = panel.http.put("/api/v1/settings/keys/PREGAO_CCXT_BINANCE_KEY", json={"value": secret})
    assert [k["name"] for k in put.json()] == ["PREGAO_CCXT_BINANCE_KEY"]
    target = panel.http.post("/api/v1/settings/notifications/targets", json={"address": address, "name": "hook"}).json()
    on = panel.http.put("/api/v1/settings/notifications", json={"on": False, "topics": ["stops"]}).json()
    assert (on["on"], on["topics"], on["targets"][0]["name"]) == (False, ["stops"], "hook")
    (tested,) = panel.http.post("/api/v1/settings/notifications/test").json()
    assert (tested["id"], tested["sent"]) == (target["id"], False)
    document = panel.http.get("/api/openapi.json").json()
    told = [tested["message"], put.text, (panel.home / "panel.log").read_text()]
    for path, takes in document["paths"].items():
        if "get" in takes and "events" not in path:
            filled = path.format(session_id="none", name="PREGAO_CCXT_BINANCE_KEY", version="1", number=1, run_id="1")
            told.append(panel.http.get(filled).text)
    for wrong in ("path", "PREGAO_HOME", "LD_PRELOAD", "PREGAO_CCXT_BINANCE_KEY"):
        told.append(panel.http.put(f"/api/v1/settings/keys/{wrong}", json={"value": "", "x": secret}).text)
    for text in told:
        assert secret not in text
        assert "pass-very-secret" not in text
    for path in (panel.home / "var" / "private").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    for name in ("PREGAO_HOME", "LD_PRELOAD", "PATH"):
        assert panel.http.put(f"/api/v1/settings/keys/{name}", json={"value": "x"}).status_code == 422
    assert panel.http.delete("/api/v1/settings/keys/PREGAO_CCXT_BINANCE_KEY").json() == []
    assert panel.http.delete(f"/api/v1/settings/notifications/targets/{target['id']}").json()["targets"] == []
    assert secret not in (panel.home / "var" / "private" / "keys.json").read_text()


def test_a_trade_that_ended_because_its_time_was_over_says_so(panel: Any) -> None:
    def ended(**spec: Any) -> dict[str, set[float]]:
        """How trades ended, and how many minutes each of those lasted."""
        feed = {"speed": 0, "end": START_NS + 600 * 60_000_000_000}
        session_id = panel.session(take_profit=90, stop_loss=90, feed=feed, **spec)
        panel.play(session_id)
        found: dict[str, set[float]] = {}
        for trade in panel.http.get(f"/api/v1/sessions/{session_id}/trades?limit=1000").json():
            found.setdefault(trade["role"], set()).add((trade["exit"] - trade["entry"]) / 60)
        return found

    without = ended()
    assert set(without) == {"exit"}
    within = ended(horizon=4)
    assert set(within) == {"exit", "horizon"}
    (longest,) = within["horizon"]
    assert max(within["exit"]) < longest <= 5 < max(without["exit"])
