"""The panel's REST API, as the demo uses it: the same path that a person's click takes."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

from pregao.core.errors import PregaoError

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Panel:
    """A client of the panel at ``address``; with the access token of ``PREGAO_PANEL_TOKEN``, if there is one."""

    def __init__(self, address: str) -> None:
        self.address = address
        token = os.environ.get("PREGAO_PANEL_TOKEN")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def instruments(self) -> list[dict[str, Any]]:
        """The store's instruments, each with its series."""
        return list(self._ask("GET", "/api/instruments"))

    def models(self) -> list[dict[str, Any]]:
        """The registered versions, newest first, with the gate's verdicts."""
        return list(self._ask("GET", "/api/models"))

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions, newest first."""
        return list(self._ask("GET", "/api/sessions"))

    def session(self, session_id: str) -> dict[str, Any]:
        """One session as it stands."""
        return dict(self._ask("GET", f"/api/sessions/{session_id}"))

    def start(self, spec: dict[str, Any]) -> str:
        """A new session, run by Prefect; its id."""
        return self._launched(self._ask("POST", "/api/sessions", spec))

    def go_on(self, session_id: str) -> str:
        """Run a session again that has no runner; its id."""
        return self._launched(self._ask("POST", f"/api/sessions/{session_id}/start"))

    def _launched(self, answer: dict[str, Any]) -> str:
        if not answer["launched"]:
            raise PregaoError(f"The session {answer['session']} got no runner. {answer.get('message', '')}".strip())
        return str(answer["session"])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method, headers=self._headers)
        try:
            with _direct.open(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            problem = _problem(error)
            raise PregaoError(
                problem.get("message") or f"The panel answered {error.code}.", problem.get("mend", "")
            ) from error
        except (OSError, ValueError) as error:
            raise PregaoError(
                f"The panel does not answer at {self.address}: {error}.", "Read var/logs/panel.log."
            ) from error


def _problem(error: urllib.error.HTTPError) -> dict[str, str]:
    try:
        found = json.loads(error.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
