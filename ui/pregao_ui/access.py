"""Who is let in: a password for people, tokens for scripts, cookies for those who have given the password.

The password is kept as its scrypt hash, a token as its SHA-256 (it is 256 random bits), both in a private file. A
cookie is signed, not stored: its key is made of a random secret and of the password's hash, so a new password ends
every visit. Those who have logged out are remembered until their cookie would have expired.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from pregao import private
from pregao.core.errors import UsageError, unknown

FILE = "access"
TOKEN_VARIABLE = "PREGAO_PANEL_TOKEN"
"""A further token, given by the environment: for `pregao up` and containers."""
LEAST = 10
MOST = 1_000
"""Characters of a password."""
VISIT_S = 7 * 86_400
"""How long a cookie is good for."""
_N, _R, _P = 2**15, 8, 1
_NAME = re.compile(r"^[\w.-]{1,40}$")


class Token(NamedTuple):
    """That a script has a token: its name, and when it was made."""

    name: str
    made: float


def set_password(password: str) -> None:
    """Demand this password from now on; whoever is inside has to give it, too.

    Raises:
        UsageError: if it is too short or too long.
    """
    if not LEAST <= len(password) <= MOST:
        raise UsageError(f"A password has {LEAST} characters or more.", "Take some words that nobody puts together.")
    salt = secrets.token_bytes(16)
    with private.changing(FILE) as document:
        document["password"] = {
            "scheme": "scrypt", "n": _N, "r": _R, "p": _P,
            "salt": b64encode(salt).decode(), "hash": b64encode(_hash(password, salt, _N, _R, _P)).decode(),
        }  # fmt: skip
        document["seal"] = secrets.token_hex(32)
        document["left"] = {}


def remove_password() -> None:
    """Demand none any more; the panel listens to this machine only, then."""
    with private.changing(FILE) as document:
        document.pop("password", None)


def make_token(name: str) -> str:
    """A new token for a script; it is told this once.

    Raises:
        UsageError: if the name is none, or taken.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name!r} cannot name a token.", "Use letters, digits, dots and dashes.")
    token = secrets.token_urlsafe(32)
    with private.changing(FILE) as document:
        tokens = document.setdefault("tokens", {})
        if name in tokens:
            raise UsageError(f"There is a token named {name} already.", f"Revoke it: pregao token --revoke {name}")
        tokens[name] = {"sha256": _digest(token), "made": time.time()}
    return token


def revoke_token(name: str) -> None:
    """Let a token open nothing any more. Raises `NotFoundError`."""
    with private.changing(FILE) as document:
        tokens = document.get("tokens", {})
        if tokens.pop(name, None) is None:
            raise unknown("token", name, sorted(tokens), "" if tokens else "There are none.")


def tokens() -> list[Token]:
    """The tokens that there are, by name."""
    found = private.read(FILE).get("tokens", {})
    return [Token(name, found[name]["made"]) for name in sorted(found)]


def password_set() -> bool:
    """Whether a password is demanded."""
    return "password" in private.read(FILE)


class Access:
    """Answers who a visitor is; the file is read again when it has changed."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None
        self._document: dict[str, Any] = {}
        self._one_at_a_time = threading.Lock()

    @property
    def demanded(self) -> bool:
        """Whether a visitor has to say who they are."""
        return "password" in self._now() or bool(os.environ.get(TOKEN_VARIABLE))

    def right_password(self, given: str) -> bool:
        """Whether this is the password; takes a tenth of a second and 32 MB on purpose, one guess at a time."""
        stored = self._now().get("password")
        if stored is None or not 0 < len(given) <= MOST:
            return False
        with self._one_at_a_time:
            found = _hash(given, b64decode(stored["salt"]), stored["n"], stored["r"], stored["p"])
        return hmac.compare_digest(found, b64decode(stored["hash"]))

    def token_of(self, given: str) -> str | None:
        """The name of the token that was given; None if it is none."""
        digest = _digest(given)
        for name, entry in self._now().get("tokens", {}).items():
            if hmac.compare_digest(digest, entry["sha256"]):
                return str(name)
        ours = os.environ.get(TOKEN_VARIABLE)
        if ours and hmac.compare_digest(digest, _digest(ours)):
            return TOKEN_VARIABLE
        return None

    def new_visit(self) -> str:
        """The value of a cookie for one who has given the password."""
        asked = f"{int(time.time()) + VISIT_S}.{secrets.token_hex(12)}"
        return f"{asked}.{self._signed(asked)}"

    def visit_of(self, cookie: str) -> str | None:
        """The name of the visit that a cookie tells of; None if it is none, has expired or was ended."""
        asked, _, signature = cookie.rpartition(".")
        expires, _, visit = asked.partition(".")
        if not visit or not hmac.compare_digest(signature.encode(), self._signed(asked).encode()):
            return None
        if int(expires) < time.time() or visit in self._now().get("left", {}):
            return None
        return visit

    def end_visit(self, cookie: str) -> None:
        """Let a cookie open nothing any more."""
        visit = self.visit_of(cookie)
        if visit is None:
            return
        with private.changing(FILE) as document:
            now = time.time()
            left = {name: until for name, until in document.get("left", {}).items() if until > now}
            document["left"] = left | {visit: int(cookie.partition(".")[0])}

    def _signed(self, asked: str) -> str:
        document = self._now()
        key = f"{document.get('seal', secrets.token_hex(32))}{document.get('password', {}).get('hash', '')}"
        return hmac.new(key.encode(), asked.encode(), hashlib.sha256).hexdigest()

    def _now(self) -> dict[str, Any]:
        try:
            found = private.path_of(FILE).stat()
        except OSError:
            self._seen, self._document = None, {}
            return self._document
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self._document = private.read(FILE)
            self._seen = (found.st_mtime_ns, found.st_ino)
        return self._document


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * 1024 * 1024, dklen=32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
