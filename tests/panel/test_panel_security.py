"""Who may talk to the panel, and what its page may do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pregao_ui.security import COOKIE, Guard, is_loopback

TOKEN = "a-token-of-some-length"


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
    assert panel.http.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert panel.http.get("/api/health", headers={"Host": "localhost"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/sessions", "/api/health", "/ui/core.js", "/api/nothing", "/theme.css"])
def test_every_answer_carries_the_policy(panel: Any, path: str) -> None:
    headers = panel.http.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


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
        assert panel.http.get(f"/api/sessions/{session_id}/{path}").status_code == 404
    assert panel.journal.inbox(session_id) == []


@pytest.mark.parametrize("token", [None, "short"])
def test_the_panel_does_not_listen_to_others_without_a_token(token: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PREGAO_PANEL_TOKEN"}
    environment |= {"PREGAO_PANEL_TOKEN": token} if token else {}
    command = [sys.executable, "-m", "pregao_ui", "--host", "0.0.0.0", "--port", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "PREGAO_PANEL_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


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


# ---- with a token: the guard in front of a small application


def ask(method: str, path: str, **options: Any) -> httpx.Response:
    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    app = Guard(Starlette(routes=[Route("/{path:path}", hello, methods=["GET", "POST"])]), TOKEN)

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://panel.test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(once())


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/ui/core.js", "/gradio_api/queue/join", "/?token=" + TOKEN])
def test_nothing_is_answered_without_the_token(path: str) -> None:
    answer = ask("GET", path)
    assert answer.status_code == 401
    assert "inside" not in answer.text
    assert "set-cookie" not in answer.headers


def test_a_script_gives_the_token_as_bearer() -> None:
    assert ask("GET", "/", headers={"Authorization": f"Bearer {TOKEN}"}).text == "inside"
    for wrong in ("Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        assert ask("GET", "/", headers={"Authorization": wrong.encode()}).status_code == 401


def test_a_person_gives_it_once_and_gets_a_cookie_that_is_not_the_token() -> None:
    page = ask("GET", "/", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert '<form method="post" action="/login">' in page.text
    assert ask("POST", "/login", data={"token": "wrong"}).status_code == 401
    answer = ask("POST", "/login", data={"token": TOKEN})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert TOKEN not in cookie
    value = cookie.split(";")[0].removeprefix(f"{COOKIE}=")
    assert ask("GET", "/", headers={"Cookie": f"{COOKIE}={value}"}).text == "inside"
    assert ask("GET", "/", headers={"Cookie": f"{COOKIE}={TOKEN}"}).status_code == 401


def test_a_login_from_another_site_or_without_end_is_refused() -> None:
    evil = {"Origin": "https://evil.example"}
    assert ask("POST", "/login", data={"token": TOKEN}, headers=evil).status_code == 403
    assert ask("POST", "/login", content=b"token=" + b"x" * 100_000).status_code == 413
