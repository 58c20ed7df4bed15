"""Prefect's flows: asking for runs. The panel stays useful while its server is away."""

from __future__ import annotations

from pregao.core.errors import PregaoError
from pregao.sessions.journal import Journal
from pregao_ui.schemas.sessions import Launched


class Flows:
    """The flows of the Prefect server; asked over HTTP, nothing is kept."""

    def launch_session(self, session_id: str, journal: Journal) -> Launched:
        """Have a host run a session, or ask for a run of its own, unless one is already under way."""
        from pregao_flows import client, starting

        try:
            if not client.session_runs(session_id):
                starting.begin(session_id, journal)
        except client.ServerDownError:
            return Launched(session=session_id, launched=False)
        except PregaoError as error:
            return Launched(session=session_id, launched=False, message=str(error))
        return Launched(session=session_id, launched=True)
