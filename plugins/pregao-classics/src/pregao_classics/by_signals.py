"""Strategies that are their signals: what a bar says of itself and the bars before it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pregao.core.bars import Bar
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict


class BySignals:
    """Answers with its own signals. A subclass has `signals`, which depend on the last ``warmup()`` bars only.

    Attributes:
        why_in, why_out: what is told of an entry and of an exit.
    """

    api = 1
    only_signals = True
    why_in: ClassVar[str]
    why_out: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Enter or leave as the signal says; silent where that would change nothing."""
        said, account = ctx.signal, ctx.account
        busy = account.position != 0 or account.pending
        if said == 1 and not busy:
            return (Enter(reason=self.why_in),)
        if said == 2 and busy:
            return (Exit(reason=self.why_out),)
        return ()

    def save(self) -> JsonDict:
        """It keeps nothing."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""
