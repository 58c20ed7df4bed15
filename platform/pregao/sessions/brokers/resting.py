"""What a session may have at an exchange that is not heard, in sentences: nobody should take it for flat."""

from __future__ import annotations

from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.operation import Operation, Want


def resting(account: VenueAccount, stopping: bool = False) -> str:
    """What is held and what may wait there, as last heard, and what waits for the exchange to be heard again.

    Args:
        stopping: the session ends once it holds nothing.
    """
    held = ", ".join(_amount(each, each.lots) for each in account.operations if each.lots)
    said = [f"As last heard, the session holds {held or 'nothing'}."]
    said += [_order(each, want) for each in account.operations for want in each.wants if not want.waits]
    if any(each.leaving for each in account.operations):
        said.append("Closing waits until the broker is heard again.")
    if stopping:
        said.append("The session does not end before.")
    return " ".join(said)


def _amount(operation: Operation, lots: int) -> str:
    instrument = operation.plan.instrument
    return f"{instrument.quantity(lots):f} {instrument.base or instrument.symbol}"


def _order(operation: Operation, want: Want) -> str:
    instrument = operation.plan.instrument
    left = _amount(operation, want.lots - want.filled_lots)
    if want.role == "bracket":
        profit, stop = (f"{instrument.price(ticks):f}" for ticks in (want.profit_ticks, want.stop_ticks))
        if want.filled_lots:  # one of the pair ends the other as it begins to fill
            return f"A take profit at {profit} for {left} may rest there, and no stop loss beside it."
        return f"A take profit at {profit} and a stop loss at {stop} for {left} may rest there."
    if want.role == "exit":
        return f"An order to sell {left} may be on its way."
    value = f"{instrument.money(want.value_quanta):f} {instrument.quote}"
    return f"An order to buy {instrument.base or instrument.symbol} for {value} may be on its way."
