"""Prefect's flows: asking for runs. The panel stays useful while its server is away."""

from __future__ import annotations

from pregao.core.errors import PregaoError
from pregao_ui.schemas.sessions import Launched


class Flows:
    """The flows of the Prefect server; asked over HTTP, nothing is kept."""

    def launch_session(self, session_id: str) -> Launched:
        """Ask for a run of a session, unless one is already under way."""
        from pregao_flows import client

        try:
            if not client.session_runs(session_id):
                client.launch(session_id)
        except client.ServerDownError:
            return Launched(session=session_id, launched=False)
        except PregaoError as error:
            return Launched(session=session_id, launched=False, message=str(error))
        return Launched(session=session_id, launched=True)
