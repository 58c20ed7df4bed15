"""The password, tokens and cookies of the panel: a real panel with a password, and the guard's own rules."""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from panel_process import PASSWORD
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pregao import private
from pregao.cli import main
from pregao.core.errors import NotFoundError, UsageError
from pregao_ui import access
from pregao_ui.pace import BURST_S, FREE_GUESSES, KEPT, LONGEST_WAIT_S, Guesses, Pace
from pregao_ui.security import COOKIE, MAX_BODY, Guard


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def visitor(panel: Any, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=panel.address, timeout=30, trust_env=False, headers=headers)


def enter(panel: Any) -> httpx.Client:
    client = visitor(panel)
    assert client.post("/login", data={"password": PASSWORD}).status_code == 303
    return client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sessions",
        "/api/sessions",
        "/api/openapi.json",
        "/ui/core.js",
        "/gradio_api/info",
        "/config",
        "/theme.css",
    ],
)
def test_nothing_is_answered_without_the_password(locked: Any, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = visitor(locked).request(method, path)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert answer.json()["code"] == "unauthorized"


def test_the_login_page_needs_nothing_and_speaks_both_languages(locked: Any) -> None:
    answer = visitor(locked, Accept="text/html").get("/sessions")
    assert answer.status_code == 401
    assert 'action="/login"' in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    portuguese = visitor(locked, Accept="text/html", **{"Accept-Language": "pt-BR"}).get("/")
    assert ">Senha<" in portuguese.text
    assert '<html lang="pt-BR">' in portuguese.text


def test_a_person_gives_the_password_once_and_leaves(locked: Any) -> None:
    client = visitor(locked)
    answer = client.post("/login", data={"password": PASSWORD})
    cookie, inside = answer.headers.get_list("set-cookie")
    assert inside.startswith("pregao_inside=1; ")  # for the page's scripts, which cannot see the other
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"))
    assert PASSWORD not in cookie
    assert client.get("/api/sessions").status_code == 200
    kept = client.cookies[COOKIE]
    assert client.get("/logout").status_code == 404  # reading ends no visit
    assert client.get("/api/sessions").status_code == 200
    assert client.post("/logout").status_code == 303
    again = visitor(locked, Cookie=f"{COOKIE}={kept}")
    assert again.get("/api/sessions").status_code == 401  # also for one who has kept the cookie


def test_a_cookie_cannot_be_made_up_or_made_to_last(locked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(locked)
    good = client.cookies[COOKIE]
    expires, visit, signature = good.split(".")
    for forged in (
        f"{int(expires) + 1}.{visit}.{signature}", f"{expires}.0{visit[1:]}.{signature}", f"{expires}.{visit}.", "..",
        f"{expires}.{visit}.{'0' * 64}", "x",
    ):  # fmt: skip
        if forged != good:
            assert visitor(locked, Cookie=f"{COOKIE}={forged}").get("/api/sessions").status_code == 401
    door = access.Access()
    monkeypatch.setattr(access, "VISIT_S", -1)
    assert door.visit_of(door.new_visit()) is None


def test_a_new_password_ends_every_visit(locked: Any) -> None:
    client = enter(locked)
    access.set_password(PASSWORD)
    assert client.get("/api/sessions").status_code == 401


def test_a_script_gives_a_token_until_it_is_revoked(locked: Any) -> None:
    token = access.make_token("script")
    client = visitor(locked, Authorization=f"Bearer {token}")
    assert client.get("/api/sessions").status_code == 200
    assert client.post("/api/sessions/none/start").status_code == 404
    for wrong in (f"Bearer {token}x", f"Basic {token}", "Bearer", f"Bearer {PASSWORD}"):
        assert visitor(locked, Authorization=wrong).get("/api/sessions").status_code == 401
    with pytest.raises(UsageError, match="already"):
        access.make_token("script")
    access.revoke_token("script")
    assert client.get("/api/sessions").status_code == 401
    with pytest.raises(NotFoundError):
        access.revoke_token("script")


def test_the_password_and_tokens_are_kept_as_hashes_for_their_owner_alone(locked: Any) -> None:
    token = access.make_token("kept")
    path = private.path_of(access.FILE)
    content = path.read_text()
    assert PASSWORD not in content
    assert token not in content
    assert private.read(access.FILE)["password"]["scheme"] == "scrypt"
    assert path.stat().st_mode & 0o777 == 0o600
    access.revoke_token("kept")


@pytest.mark.parametrize("password", ["", "short", "x" * 2_000])
def test_a_password_that_is_none_is_refused(home: Path, password: str) -> None:
    with pytest.raises(UsageError):
        access.set_password(password)
    assert not access.password_set()


def test_whoever_guesses_waits_longer_each_time() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    waits = []
    for _ in range(20):
        guesses.wrong("mallory")
        waits.append(guesses.wait_s("mallory"))
        clock.now += waits[-1]
    assert waits[: FREE_GUESSES - 1] == [0.0] * (FREE_GUESSES - 1)
    assert waits[FREE_GUESSES - 1 : FREE_GUESSES + 3] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert guesses.wait_s("alice") == 0.0
    guesses.right("mallory")
    guesses.wrong("mallory")
    assert guesses.wait_s("mallory") == 0.0


def test_the_panel_makes_guessers_wait(locked: Any) -> None:
    client = visitor(locked)
    answers: list[httpx.Response] = []
    guessed = 0.0  # when the last guess that was listened to was made

    def heard_in_time(answer: httpx.Response) -> bool:
        """Whether it was refused a hearing, or the wait after the last guess, longer each time, was over."""
        wait_s = 2.0 ** (len(answers) - FREE_GUESSES)
        return answer.status_code == 429 or time.monotonic() - guessed > wait_s

    while len(answers) < FREE_GUESSES + 6:
        begun = time.monotonic()
        answer = client.post("/login", data={"password": f"wrong {len(answers)}"})
        assert len(answers) < FREE_GUESSES or heard_in_time(answer)
        if answer.status_code == 429:
            break
        assert answer.status_code == 401
        assert "That is not the password." in answer.text
        answers.append(answer)
        guessed = begun
    assert len(answers) >= FREE_GUESSES
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert heard_in_time(client.post("/login", data={"password": PASSWORD}))  # also with the right one


def test_a_login_from_another_site_or_without_end_is_refused(locked: Any) -> None:
    client = visitor(locked)
    evil = {"Origin": "https://evil.example"}
    assert client.post("/login", data={"password": PASSWORD}, headers=evil).status_code == 403
    assert client.post("/login", content=b"password=" + b"x" * MAX_BODY).status_code == 413


def test_each_visitor_has_requests_of_their_own() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    assert [pace.wait_s("a") for _ in range(int(10 * BURST_S))] == [0.0] * 40
    assert pace.wait_s("a") == pytest.approx(0.1)
    assert pace.wait_s("b") == 0.0
    clock.now += 0.11
    assert pace.wait_s("a") == 0.0
    assert pace.wait_s("a") > 0
    for i in range(KEPT + 10):
        pace.wait_s(str(i))
    assert len(pace._buckets) == KEPT
    assert all(Pace(0, clock).wait_s("a") == 0.0 for _ in range(1_000))


def test_the_guard_says_when_to_ask_again(home: Path) -> None:
    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    app = Guard(Starlette(routes=[Route("/{path:path}", hello)]), hosts=("panel.test",), rate=1)

    async def asked() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://panel.test") as client:
            return [await client.get(path) for path in ["/api/v1/bars"] * 6 + ["/ui/core.js"]]

    answers = asyncio.run(asked())
    assert [a.status_code for a in answers] == [200] * int(BURST_S) + [429] * 2 + [200]  # files are not counted
    assert answers[4].headers["retry-after"] == "1"
    assert answers[4].json() == {
        "code": "too_many_requests", "message": "Too many requests.", "mend": "Ask again in 1 seconds.",
        "field": None, "fields": {},
    }  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_panel_does_not_listen_to_others_without_a_password(home: Path, host: str) -> None:
    command = [sys.executable, "-m", "pregao_ui", "--host", host, "--port", "1"]
    environment = {**os.environ, access.TOKEN_VARIABLE: "a-token-is-no-password-for-people"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 2
    assert "without a password" in done.stderr
    assert "pregao password" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_panel_listens_on_loopback_alone(panel: Any) -> None:
    """Another address of this machine is one that others reach, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it tells which address would be used
        except OSError:
            pytest.skip("this machine has no address but loopback")
        other = probe.getsockname()[0]
    if other.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with socket.socket() as caller:
        caller.settimeout(2)
        assert caller.connect_ex((other, panel.port)) != 0


def test_the_commands_set_a_password_and_make_tokens(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pregao(*arguments: str, given: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        try:
            main(list(arguments))
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    assert pregao("password")[0] == 2
    assert pregao("password", "--stdin", given="short\n")[0] == 2
    assert pregao("password", "--stdin", given=f"{PASSWORD}\n")[0] == 0
    assert access.Access().right_password(PASSWORD)
    assert not access.Access().right_password(PASSWORD + " ")
    made = pregao("token", "laptop")[1].strip()
    assert re.fullmatch(r"[\w-]{43}", made)
    assert access.Access().token_of(made) == "laptop"
    listed = pregao("token")[1]
    assert "laptop" in listed
    assert made not in listed
    assert pregao("token", "--revoke", "laptop")[0] == 0
    assert access.Access().token_of(made) is None
    assert pregao("password", "--remove")[0] == 0
    assert not access.Access().demanded
