"""What answers: the store, the sessions' database, Prefect's and MLflow's servers."""

from __future__ import annotations

import urllib.request
from typing import get_args

from pregao import __version__
from pregao.market.store import Store
from pregao.sessions.journal import Journal
from pregao.sessions.records import ENDED
from pregao.sessions.views import Money, broker_of, money_of
from pregao.settings import settings
from pregao_ui.schemas.health import Health

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HealthCheck:
    """Asks each part whether it is there."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self.store = store
        self.journal = journal

    def now(self) -> Health:
        """What answers, and how much there is."""
        config = settings()
        sessions = self.journal.sessions()
        active = [row.spec for row in sessions if row.status not in ENDED]
        money = max(map(money_of, active), key=get_args(Money).index, default="simulated")
        dear = {broker_of(spec) for spec in active if money_of(spec) == money != "simulated"}
        mlflow = f"http://{config.host}:{config.mlflow_port}"
        return Health(
            version=__version__,
            prefect=_answers(f"{config.prefect_api}/health"),
            prefect_address=config.prefect_api.removesuffix("/api"),
            mlflow=_answers(f"{mlflow}/health"),
            mlflow_address=mlflow,
            instruments=len(self.store.instruments()),
            sessions=len(sessions),
            money=money,
            brokers=sorted(dear),
        )


def _answers(url: str) -> bool:
    """Whether a server answers there within a second."""
    try:
        with _direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
