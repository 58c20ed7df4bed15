"""Who may talk to the panel, and what its page may do."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest
from probe_market import START_NS

from pregao_ui.security import is_loopback


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_no_other_site_can_change_anything(panel: Any, headers: dict[str, str]) -> None:
    before = panel.http.get("/api/sessions").json()
    assert panel.http.post("/api/sessions", json={}, headers=headers).status_code == 403
    assert panel.http.post("/gradio_api/queue/join", json={}, headers=headers).status_code == 403
    assert panel.http.get("/api/sessions").json() == before


def test_no_other_site_can_read(panel: Any) -> None:
    assert panel.http.get("/api/sessions", headers={"Origin": "https://evil.example"}).status_code == 403
    fetched = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert panel.http.get("/api/sessions", headers=fetched).status_code == 403


def test_a_link_from_elsewhere_opens_the_page(panel: Any) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert panel.http.get("/", headers=followed).status_code == 200


def test_the_own_page_may_post(panel: Any) -> None:
    own = {"Origin": panel.address, "Sec-Fetch-Site": "same-origin"}
    assert panel.http.post("/api/sessions/none/start", headers=own).status_code == 404


def test_another_host_name_is_refused(panel: Any) -> None:
    for name in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[", ""):
        assert panel.http.get("/api/health", headers={"Host": name}).status_code == 400
    assert panel.http.get("/api/health", headers={"Host": "localhost"}).status_code == 200


PAGES = ("/", "/sessions", "/models", "/data", "/flows", "/settings")
"""Gradio's pages, which configure themselves by a script in the page and compile the scripts of their parts."""


@pytest.mark.parametrize("path", [*PAGES, "/api/health", "/api/nothing", "/ui/core.js", "/theme.css", "/config"])
def test_every_answer_carries_the_policy(panel: Any, path: str) -> None:
    headers = panel.http.get(path).headers
    policy = headers["content-security-policy"]
    assert ("unsafe" in policy) == (path in PAGES)
    assert policy.startswith("default-src 'self'" if path in PAGES else "default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert (headers.get("cache-control") == "no-store") or path not in PAGES
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_a_page_may_load_and_ask_nothing_from_elsewhere(panel: Any) -> None:
    policy = dict(
        part.strip().split(" ", 1) for part in panel.http.get("/").headers["content-security-policy"].split(";")
    )
    loose = {name for name, allowed in policy.items() if "unsafe" in allowed}
    assert loose == {"script-src", "style-src"}
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert policy["script-src"] == "'self' 'unsafe-inline' 'unsafe-eval'"
    elsewhere = {word for allowed in policy.values() for word in allowed.split()} - {"'unsafe-inline'", "'unsafe-eval'"}
    assert elsewhere <= {"'self'", "'none'", "data:", "blob:"}
    assert policy["object-src"] == "'none'"


def test_what_is_no_page_of_gradios_is_strict(panel: Any) -> None:
    """Files, Gradio's own answers, refusals, a stream, a report, the login page: none of them may run a script."""
    session_id = panel.session(feed={"speed": 0, "end": START_NS + 200 * 60_000_000_000})
    panel.play(session_id)
    page = {"Accept": "text/html"}
    asked = [
        panel.http.get("/ui/early.js"), panel.http.get("/ui/stream-worker.js"), panel.http.get("/gradio_api/info"),
        panel.http.get("/api/openapi.json"), panel.http.get("/docs", headers=page),
        panel.http.get("/ui/nothing.js", headers=page), panel.http.get("/", headers=page | {"Host": "evil.example"}),
        panel.http.get("/api/sessions", headers={"Origin": "https://evil.example"}),
        panel.http.get(f"/api/sessions/{session_id}/tearsheet", headers=page),
    ]  # fmt: skip
    assert asked[-1].headers["content-type"].startswith("text/html")
    with panel.http.stream("GET", f"/api/events?session={session_id}") as stream:
        asked.append(stream)
    for answer in asked:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), answer.url
        assert "script-src" not in policy
        assert "unsafe-eval" not in policy
    assert "connect-src 'self'" in asked[1].headers["content-security-policy"]  # the stream's worker, which may ask


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/monitoring"),
        ("GET", "/docs"),
        ("GET", "/redoc"),
    ],
)
def test_what_is_not_used_is_not_there(panel: Any, method: str, path: str) -> None:
    assert panel.http.request(method, path).status_code == 404


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e%2fapp.py", "..%5capp.py", "early", "nothing.js", ".js"])
def test_only_the_files_of_the_page_are_served(panel: Any, name: str) -> None:
    answer = panel.http.get(f"/ui/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_the_chart_comes_from_this_machine_with_its_licence(panel: Any) -> None:
    answer = panel.http.get("/ui/lightweight-charts.js")
    assert "Apache License 2.0" in answer.text[:300]
    assert "TradingView" in answer.text[:300]
    tag = answer.headers["etag"]
    assert panel.http.get("/ui/lightweight-charts.js", headers={"If-None-Match": tag}).status_code == 304


def test_reading_never_changes_anything(panel: Any) -> None:
    session_id = panel.session()
    for path in ("start", "commands", "commands?kind=stop"):
        assert panel.http.get(f"/api/sessions/{session_id}/{path}").status_code == 405
    assert panel.journal.inbox(session_id) == []


def test_a_port_in_use_gets_one_clear_sentence(panel: Any) -> None:
    command = [sys.executable, "-m", "pregao_ui", "--port", str(panel.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{panel.port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.2", False), ("me", False)],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_no_route_changes_anything_by_get(panel: Any) -> None:
    """Every route that the API's document names, and those of Gradio that act, asked by GET: all is as it was."""
    session_id = panel.session()
    document = panel.http.get("/api/openapi.json").json()["paths"]
    before = _state(panel)
    filled = {"session_id": session_id, "version": "1", "number": "1", "target_id": "x", "run_id": str(UUID(int=1))}
    asked = {
        path: path.format_map(defaultdict(lambda: "PREGAO_CCXT_BINANCE_KEY", filled))
        for path in document
        if not path.endswith("/events")
    }
    answers = {path: panel.http.get(address).status_code for path, address in asked.items()}
    for path in ("/", "/sessions", "/login", "/logout", "/gradio_api/queue/join", "/gradio_api/cancel"):
        panel.http.get(path)
    assert _state(panel) == before
    takes_no_get = {path for path, takes in document.items() if "get" not in takes}
    assert len(takes_no_get) > 5
    assert {answers[path] for path in takes_no_get} == {405}


def _state(panel: Any) -> dict[str, str]:
    """Digests of all that is kept: the sessions' tables, the market data, keys and settings."""
    found = {}
    with sqlite3.connect(panel.home / "var" / "sessions.db") as database:
        for line in database.iterdump():
            found["database"] = hashlib.sha256((found.get("database", "") + line).encode()).hexdigest()
    for folder in ("data", "var/private", "mlruns"):
        for path in sorted((panel.home / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".lock", ".db"):
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
