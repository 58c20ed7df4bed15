"""Buy once and hold: what every other strategy has to beat."""

from __future__ import annotations

from collections.abc import Iterable

from pregao.core.bars import Bar
from pregao.strategies.contract import Context, Enter, Intent, JsonDict, StrategyConfig


class BuyAndHoldConfig(StrategyConfig):
    """Nothing to set."""


class BuyAndHold:
    """Buys at the first bar, and again whenever the session's own exits have closed the position."""

    api = 1
    title = "Buy and hold"
    Config = BuyAndHoldConfig

    def __init__(self, config: BuyAndHoldConfig) -> None:
        self.config = config

    def warmup(self) -> int:
        """One bar is enough."""
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Enter whenever flat."""
        if ctx.account.position == 0 and not ctx.account.pending:
            return (Enter(reason="hold"),)
        return ()

    def save(self) -> JsonDict:
        """It keeps nothing."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""
