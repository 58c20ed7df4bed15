"""Who may talk to the panel, and what its page may do: one guard in front of Gradio, the API and the files.

Gradio's own ``auth`` covers Gradio's routes only and its CORS answers any origin once the host is not local,
so the guard stands before both. It is plain ASGI: Starlette's `BaseHTTPMiddleware` would buffer the streams.

- A request for another host name is refused: a page elsewhere may have bent its own name to this address.
- A request that a browser makes for another site is refused, whatever its method: its ``Origin`` is not this
  host, or ``Sec-Fetch-Site`` says so. A person following a link from elsewhere may open a page.
- Reading never changes anything: every change is a POST, a PUT or a DELETE.
- Once a password is set, nothing is answered without it: a person gives it once and gets a cookie, a script gives a
  token as ``Authorization: Bearer``, see `pregao_ui.access`. Who guesses waits, each time longer.
- A body is no longer than `MAX_BODY`, a file of market data than `UPLOAD_MOST`, and each visitor asks the API no
  more often than ``PREGAO_PANEL_RATE``.
- Parts of Gradio that this panel does not use and that would take files, fetch addresses or serve folders are
  not there.
"""

from __future__ import annotations

import asyncio
import math
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pregao.core.errors import UsageError
from pregao_ui import login
from pregao_ui.access import VISIT_S, Access, password_set
from pregao_ui.pace import Guesses, Pace
from pregao_ui.schemas.problems import CODES, Problem
from pregao_ui.services.data import UPLOAD_MOST
from pregao_ui.texts import COOKIE as LANGUAGE_COOKIE
from pregao_ui.texts import language_of, text

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Of Gradio's pages, and of nothing else: such a page configures itself by a script in it ('unsafe-inline'), and
compiles the scripts of its parts ('unsafe-eval')."""
STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Of all that is no page: opened by itself, it may do nothing at all."""
WORKER = "/ui/stream-worker.js"
WORKER_POLICY = f"{STRICT_POLICY}; connect-src 'self'"
"""Of the script that holds the page's stream: a worker has the policy of its file, not that of the page."""
DOCUMENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""Of the API's reports: pages of their own that need neither a script nor another file."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send the login form with the origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
CLOSED = (
    "/gradio_api/upload",
    "/gradio_api/file",
    "/gradio_api/proxy",
    "/gradio_api/stream",
    "/gradio_api/component_server",
    "/gradio_api/custom_component",
    "/gradio_api/process_recording",
    "/gradio_api/run-history",
    "/gradio_api/runs",
    "/gradio_api/deep_link",
    "/gradio_api/vibe",
    "/gradio_api/undo-vibe",
    "/gradio_api/dev",
    "/monitoring",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
COOKIE = "pregao_panel"
INSIDE = "pregao_inside"
"""Tells the page's scripts, which cannot see the other, that there is a visit to end. It opens nothing."""
LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
MAX_BODY = 262_144
"""Bytes of a request's body; a session with all its settings has some thousand."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Refuse to listen where others can reach the panel, unless a password is set.

    Raises:
        UsageError: for an address other than loopback without a password.
    """
    if not is_loopback(host) and not password_set():
        raise UsageError(
            f"The panel does not listen on {host} without a password.",
            "Set one with `pregao password`, or use --host 127.0.0.1.",
        )


class Guard:
    """The ASGI middleware described in this module's text.

    Args:
        app: what is guarded.
        hosts: the names under which the panel may be asked for.
        rate: requests a second to the API, for each visitor; 0 is no limit.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], rate: float) -> None:
        self.app = app
        self.access = Access()
        self.guesses = Guesses()
        self._hosts = frozenset(host.lower() for host in hosts)
        self._pace = Pace(rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on one request."""
        if scope["type"] == "websocket":  # the panel has none
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        ask = _Ask(scope, headers, send)
        if not self._our_host(headers, scope):
            await ask.refuse(400, "err_host")
        elif _foreign(scope["method"], headers):
            await ask.refuse(403, "err_foreign")
        elif scope["method"] not in METHODS:
            await ask.refuse(405, "err_method")
        elif _closed(scope["path"]):
            await ask.refuse(404, "err_nothing")
        elif int(headers.get("content-length") or 0) > (most := _most(scope["path"])):
            await ask.refuse(413, "err_too_large")
        else:
            await self._enter(scope, _bounded(receive, most), send, ask)

    async def _enter(self, scope: Scope, receive: Receive, send: Send, ask: _Ask) -> None:
        path, visitor = scope["path"], ask.address
        if self.access.demanded:
            if path == LOGIN_PATH and scope["method"] == "POST":
                await self._login(receive, ask)
                return
            known = self._known(ask.headers)
            if known is None:
                await ask.refuse(401, "err_token", more=[(b"www-authenticate", b"Bearer")])
                return
            visitor = known
            if path == LOGOUT_PATH and scope["method"] == "POST":
                await asyncio.to_thread(self.access.end_visit, ask.cookie or "")
                gone = "Path=/; SameSite=Strict; Max-Age=0"
                await ask.go("/", f"{COOKIE}=; HttpOnly; {gone}", f"{INSIDE}=; {gone}")
                return
        if path.rstrip("/") in (LOGIN_PATH, LOGOUT_PATH):  # Gradio has such routes, too, and answers GET there
            await ask.refuse(404, "err_nothing")
            return
        if path.startswith("/api/") and (wait := self._pace.wait_s(visitor)):
            await ask.refuse(429, "err_too_often", seconds=math.ceil(wait))
            return
        try:
            await self.app(scope, receive, _with_headers(send, path))
        except _TooLongError:
            await ask.refuse(413, "err_too_large")

    def _our_host(self, headers: Headers, scope: Scope) -> bool:
        """Whether it is asked for by one of its names, or by the very address that was connected to."""
        given, server = headers.getlist("host"), scope.get("server") or ("", 0)
        try:
            return len(given) == 1 and urlsplit(f"//{given[0]}").hostname in {*self._hosts, server[0]}
        except ValueError:
            return False

    def _known(self, headers: Headers) -> str | None:
        """A name for the visitor, if they may come in."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self.access.token_of(given.strip())
            return None if token is None else f"token {token}"
        cookie = _cookie(headers, COOKIE)
        visit = None if cookie is None else self.access.visit_of(cookie)
        return None if visit is None else f"visit {visit}"

    async def _login(self, receive: Receive, ask: _Ask) -> None:
        if wait := self.guesses.wait_s(ask.address):
            await ask.login_page(429, "wait", math.ceil(wait))
            return
        try:
            body = await _read(receive)
        except _TooLongError:
            await ask.refuse(413, "err_too_large")
            return
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        self.guesses.wrong(ask.address)  # until it is known to be right: guesses at once are counted, too
        if not await asyncio.to_thread(self.access.right_password, given):
            await ask.login_page(401, "wrong" if password_set() else "none")
            return
        self.guesses.right(ask.address)
        secure = "; Secure" if ask.scope.get("scheme") == "https" else ""
        kept = f"Path=/; SameSite=Strict; Max-Age={VISIT_S}{secure}"
        await ask.go("/", f"{COOKIE}={self.access.new_visit()}; HttpOnly; {kept}", f"{INSIDE}=1; {kept}")


class _Ask:
    """One request, and how it is refused: as a `Problem` to a script, as a sentence or the login page to a person."""

    def __init__(self, scope: Scope, headers: Headers, send: Send) -> None:
        self.scope = scope
        self.headers = headers
        self.cookie = _cookie(headers, COOKIE)
        self._send = send

    @property
    def address(self) -> str:
        """Where it comes from."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def language(self) -> str:
        """The visitor's language."""
        chosen = _cookie(self.headers, LANGUAGE_COOKIE)
        return language_of(self.headers, {} if chosen is None else {LANGUAGE_COOKIE: chosen})

    async def refuse(
        self, status: int, key: str, *, seconds: int = 0, more: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Answer with a reason in the visitor's language."""
        more = list(more or [])
        if seconds:
            more.append((b"retry-after", str(seconds).encode()))
        page = "text/html" in self.headers.get("accept", "")
        if status == 401 and page:
            await self.login_page(401, "", more=more)
            return
        message, mend = (text(self.language, name, seconds=seconds) for name in (key, f"{key}_mend"))
        problem = Problem(code=CODES[status], message=message, mend=mend)
        if page:
            await self._answer(status, f"{message} {mend}".strip(), "text/plain", STRICT_POLICY, more)
        else:
            await self._answer(status, problem.model_dump_json(), "application/json", STRICT_POLICY, more)

    async def login_page(
        self, status: int, said: str, seconds: int = 0, more: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Answer with the page that asks for the password."""
        more = list(more or [])
        if seconds:
            more.append((b"retry-after", str(seconds).encode()))
        await self._answer(status, login.page(self.language, said, seconds), "text/html", login.POLICY, more)

    async def go(self, to: str, *cookies: str) -> None:
        """Send the visitor on, with cookies."""
        more = [(b"location", to.encode()), *((b"set-cookie", cookie.encode()) for cookie in cookies)]
        await self._answer(303, "", "text/plain", STRICT_POLICY, more)

    async def _answer(self, status: int, body: str, kind: str, policy: str, more: list[tuple[bytes, bytes]]) -> None:
        headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"no-store"), *more]
        headers += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        headers.append((b"content-security-policy", policy.encode()))
        content = b"" if self.scope["method"] == "HEAD" else body.encode()
        headers.append((b"content-length", str(len(content)).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})


class _TooLongError(Exception):
    """A body without a length turned out to be too long."""


def _most(path: str) -> int:
    """Bytes that a body may have: a file of market data is longer than anything else."""
    return UPLOAD_MOST if path.startswith("/api/") and path.endswith("/data/uploads") else MAX_BODY


def _bounded(receive: Receive, most: int) -> Receive:
    """Raises `_TooLongError` once more than ``most`` bytes have come."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise _TooLongError
        return message

    return bounded


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def _foreign(method: str, headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    followed_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    return not followed_link


def _closed(path: str) -> bool:
    """Whether a path leads to a part of Gradio that is not there, however it is spelled."""
    plain = "/" + "/".join(part for part in unquote(path).split("/") if part not in ("", "."))
    return plain.lower().startswith(CLOSED) or ".." in plain.split("/")


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _policy(path: str, kind: str) -> str:
    """The content security policy of an answer of this content type."""
    if kind.startswith("text/html"):
        return DOCUMENT_POLICY if path.startswith("/api/") else PAGE_POLICY
    return WORKER_POLICY if path == WORKER else STRICT_POLICY


def _with_headers(send: Send, path: str) -> Send:
    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            kind = headers.get("content-type", "")
            headers["Content-Security-Policy"] = _policy(path, kind)
            if kind.startswith("text/html"):  # going back after leaving shows the login, not a page of before
                headers["Cache-Control"] = "no-store"
        await send(message)

    return out
