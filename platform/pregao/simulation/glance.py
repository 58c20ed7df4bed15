"""The few figures of an account that a strategy looks at, read from the state's words one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from pregao.simulation import layout


class Seen(NamedTuple):
    """Figures of one instrument after the last moment, in lots, quanta, ticks and bars; ``cash`` is its currency's."""

    position: int
    cost: int
    cash: int
    bars_held: int
    last_ticks: int


class Glance:
    """Reads the state of one instrument of an account.

    Args:
        world, setting: `layout.WORLD` and `layout.SETTING`, shape ``(1,)``; the world must stay where it is in memory.
        book: the instrument's place in the account.
    """

    def __init__(self, world: NDArray[Any], setting: NDArray[Any], book: int) -> None:
        self._words = memoryview(world["words"][0])
        self._book = book
        money = int(setting[0]["rules"][book]["money"])
        fields = ("position_lots", "cost", "bars_held", "last_ticks")
        self._at = tuple(layout.word("books", book, name) for name in fields)
        self._cash = layout.word("money", money, "cash")
        self._orders = layout.word("account", 0, "orders")
        self._role, self._owner = layout.word("orders", 0, "role"), layout.word("orders", 0, "book")

    def see(self) -> Seen:
        """The figures now."""
        words = self._words
        position, cost, held, last = self._at
        return Seen(words[position], words[cost], words[self._cash], words[held], words[last])

    def waiting(self) -> bool:
        """Whether an entry or an exit of a signal waits to fill."""
        words = self._words
        for k in range(words[self._orders]):
            at = k * layout.ORDER_WORDS
            if words[self._owner + at] == self._book and words[self._role + at] in (layout.ENTRY, layout.EXIT):
                return True
        return False
