"""Who may talk to the panel, and what its page may do: one guard in front of Gradio, the API and the files.

Gradio's own ``auth`` covers Gradio's routes only and its CORS answers any origin once the host is not local,
so the guard stands before both. It is plain ASGI: Starlette's `BaseHTTPMiddleware` would buffer the streams.

- A request that a browser makes for another site is refused, whatever its method: its ``Origin`` is not this
  host, or ``Sec-Fetch-Site`` says so. A person following a link from elsewhere may open a page.
- Reading never changes anything: every change is a POST.
- With a token, nothing is answered without it: as ``Authorization: Bearer``, or as a cookie that the login form
  sets. The cookie holds a digest, so that the token itself is never stored in the browser.
- Parts of Gradio that this panel does not use and that would take files, fetch addresses or serve folders are
  not there.
"""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pregao.core.errors import UsageError

# 'unsafe-inline' and 'unsafe-eval': Gradio's page configures itself inline and compiles gr.HTML's scripts.
CONTENT_SECURITY_POLICY = "; ".join(
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
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
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
COOKIE = "pregao_panel"
LOGIN_PATH = "/login"
_LOGIN_LIMIT = 4_096
_LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Pregão</title><style>
body{background:#0b0e13;color:#dbe2ea;font:15px system-ui;display:grid;place-items:center;
min-height:100vh;margin:0}form{display:grid;gap:10px;width:260px}input,button{font:inherit;padding:9px 12px;
border-radius:3px;border:1px solid #212a35;background:#11161d;color:inherit}button{background:#6ea3ff;color:#07111f;
font-weight:700}p{margin:0;color:#ef6673}</style><form method="post" action="/login"><b>Pregão</b>
<label for="token">Access token / Senha de acesso</label><input id="token" name="token" type="password"
autocomplete="current-password" autofocus required>__SAY__<button>Enter / Entrar</button></form></html>"""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, token: str | None) -> None:
    """Refuse to listen where others can reach the panel, unless there is a token of some length.

    Raises:
        UsageError: for an address other than loopback without a token of at least 16 characters.
    """
    if not is_loopback(host) and len(token or "") < 16:
        raise UsageError(
            f"The panel does not listen on {host} without an access token.",
            "Set PREGAO_PANEL_TOKEN to a secret of 16 characters or more, or use --host 127.0.0.1.",
        )


class Guard:
    """The ASGI middleware described in this module's text.

    Args:
        app: what is guarded.
        token: the access token; None on loopback, where the machine's own user is the only visitor.
    """

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self.app = app
        self.token = token
        self._seal = hashlib.sha256(f"pregao panel {token}".encode()).hexdigest() if token else ""

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
        path: str = scope["path"]
        if self._foreign(scope["method"], headers):
            await _answer(send, 403, "This request comes from another site; it was refused.")
        elif path.startswith(CLOSED):
            await _answer(send, 404, "There is nothing here.")
        elif self.token and path == LOGIN_PATH and scope["method"] == "POST":
            await self._login(scope, receive, send)
        elif self.token and not self._known(headers):
            page = "text/html" in headers.get("accept", "")
            body = _LOGIN_PAGE.replace("__SAY__", "") if page else "An access token is needed."
            await _answer(send, 401, body, html=page, more=[(b"www-authenticate", b"Bearer")])
        else:
            await self.app(scope, receive, _with_headers(send))

    @staticmethod
    def _foreign(method: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return True
        if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
            return False
        followed_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        return not followed_link

    def _known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), (self.token or "").encode())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._seal.encode())

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > _LOGIN_LIMIT or message["type"] == "http.disconnect":
                await _answer(send, 413, "Too long.")
                return
            if not message.get("more_body"):
                break
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), (self.token or "").encode()):
            page = _LOGIN_PAGE.replace("__SAY__", '<p role="alert">Wrong token / Senha errada</p>')
            await _answer(send, 401, page, html=True)
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{COOKIE}={self._seal}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000{secure}"
        await _answer(send, 303, "", more=[(b"location", b"/"), (b"set-cookie", cookie.encode())])


def _with_headers(send: Send) -> Send:
    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return out


async def _answer(
    send: Send, status: int, body: str, *, html: bool = False, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    kind = "text/html" if html else "text/plain"
    headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"no-store"), *(more or [])]
    with_headers = _with_headers(send)
    await with_headers({"type": "http.response.start", "status": status, "headers": headers})
    await with_headers({"type": "http.response.body", "body": body.encode()})
