"""What a session may have at an exchange that is not heard, in sentences: nobody should take it for flat."""

from __future__ import annotations

from pregao.sessions.brokers.account import VenueAccount


def resting(account: VenueAccount, stopping: bool = False) -> str:
    """What is held and what may wait there, as last heard, and what waits for the exchange to be heard again.

    Args:
        stopping: the session ends once it holds nothing.
    """
    instrument = account.plan.instrument
    base, quote = instrument.base or instrument.symbol, instrument.quote
    lots = account.account.position_lots
    held = f"{instrument.quantity(lots):f} {base}" if lots else "nothing"
    said = [f"As last heard, the session holds {held}."]
    for want in account.wants:
        if want.waits:
            continue
        left = f"{instrument.quantity(want.lots - want.filled_lots):f} {base}"
        if want.role == "bracket":
            profit, stop = (f"{instrument.price(ticks):f}" for ticks in (want.profit_ticks, want.stop_ticks))
            if want.filled_lots:  # one of the pair ends the other as it begins to fill
                said.append(f"A take profit at {profit} for {left} may rest there, and no stop loss beside it.")
            else:
                said.append(f"A take profit at {profit} and a stop loss at {stop} for {left} may rest there.")
        elif want.role == "exit":
            said.append(f"An order to sell {left} may be on its way.")
        else:
            value = f"{instrument.money(want.value_quanta):f} {quote}"
            said.append(f"An order to buy for {value} may be on its way.")
    if account.leaving:
        said.append("Closing waits until the broker is heard again.")
    if stopping:
        said.append("The session does not end before.")
    return " ".join(said)
