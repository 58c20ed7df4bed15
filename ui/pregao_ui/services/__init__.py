"""What the panel reads and does, one topic a module: the pages and the API ask here and nowhere else.

Nothing is kept here that is not elsewhere: reload the page or restart the panel, and it shows the same. The two
exceptions are caches that refresh themselves: the plugins' forms (installed code does not change under a running
process) and the registry's list (a few seconds).
"""

from __future__ import annotations

import contextlib

from pregao.core.errors import PregaoError
from pregao.market.store import Store
from pregao.sessions.journal import Journal
from pregao_ui.services.before import Before
from pregao_ui.services.data import Data
from pregao_ui.services.flows import Flows
from pregao_ui.services.health import HealthCheck
from pregao_ui.services.listings import Listings
from pregao_ui.services.market import Market, Span
from pregao_ui.services.models import Models
from pregao_ui.services.proofs import Proofs
from pregao_ui.services.sessions import Sessions
from pregao_ui.services.settings import Settings
from pregao_ui.services.strategies import Strategies

__all__ = ["Services", "Span"]


class Services:
    """Everything that a page or a request may ask for, by topic. Methods may be called from several threads.

    They read the installation's own data, see `pregao.settings`.
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self.store = Store()
        self.flows = Flows()
        self.sessions = Sessions(self.journal, self.flows)
        self.proofs = Proofs(self.journal)
        self.market = Market(self.store)
        self.before = Before(self.journal, self.market)
        self.listings = Listings()
        self.data = Data(self.store)
        self.strategies = Strategies()
        self.models = Models()
        self.settings = Settings(self.journal)
        self.health = HealthCheck(self.store, self.journal)

    def warm_up(self) -> None:
        """Import and read what the first visitor would wait for: the plugins and the registry.

        What is broken is not told here but where it is asked for.
        """
        with contextlib.suppress(PregaoError):
            self.strategies.all  # noqa: B018  # reading it is the point
            for instrument in self.store.instruments():
                for timeframe in self.store.timeframes(instrument):
                    self.models.champion(instrument, timeframe)
            self.models.all()
