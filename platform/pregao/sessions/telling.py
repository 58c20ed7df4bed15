"""Views as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pregao.core.instrument import Instrument, names_of
from pregao.sessions.views import View

_ROLES = {"take_profit": "take profit", "stop_loss": "stop loss", "exit": "exit", "entry": "entry", "": "order"}


_FEED = {
    "stale": "the market is not heard: {reason}",
    "recovered": "the market is heard again",
    "held": "a bar is not believed and held back: {reason}",
    "gap": "the venue has no bars in a span of {bars}",
    "revised": "the venue has changed a bar that was traded on",
    "skewed": "the venue's clock and this machine's differ by {ms} ms",
    "ended": "the market has ended: {reason}",
    "passed": "a bar came after the account had gone on without it",
}


_BROKER = {
    "joined": "orders go to {name}",
    "away": "the broker is not heard: {reason}",
    "back": "the broker is heard again",
}


def moment(seconds: float) -> str:
    """A market time, UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def line(row: View, *instruments: Instrument) -> str | None:
    """One event as one line; None for what a person need not see (bars, working orders, snapshots, memory)."""
    told = _told(row, instruments)
    whose = f"{row['symbol']} " if told is not None and "symbol" in row else ""
    return None if told is None else f"{moment(row['t'] if 't' in row else row['ts'])}  {whose}{told}"


def _told(row: View, instruments: Sequence[Instrument]) -> str | None:
    instrument = instruments[row.get("b", 0)]
    quote = instrument.quote
    match row["k"]:
        case "fill":
            did = "bought" if row["side"] > 0 else "sold"
            result = "" if row["role"] == "entry" else f", {row['pnl']:+,.2f} {quote} before fees"
            what = f"{instrument.quantity_text(row['qty'])} at {instrument.price_text(row['price'])}"
            return f"{did} {what} ({_ROLES[row['role']]}{result}, fee {row['fee']:,.2f})"
        case "order" if row["state"] == "rejected":
            return f"{_ROLES[row['role']]} rejected: {row['reason']}"
        case "intent" if row["action"] != "note":
            odds = f", probability {row['p']:.0%}" if row.get("p") is not None else ""
            withheld = "" if row["acted"] else f" [{row['why']}]"
            if row.get("limit"):
                withheld += f" [{row['limit']} leaves {row['left']:.0%} of the entry value]"
            return f"wants to {row['action']} {row.get('side', '')}".rstrip() + f": {row['reason']}{odds}{withheld}"
        case "proposal":
            waits = f", {row['bars']} bars left" if row["state"] == "open" else ""
            return f"proposal {row['id']} to go {row['side']}: {row['state']}{waits}"
        case "command":
            of = dict(enumerate(names_of(instruments))).get(row["body"].get("book"), "")
            return f"command {row['command']} {of}".rstrip() + f": {row['outcome']}"
        case "started":
            every = [row, *row.get("also", ())]
            told = (f"{each['model']} version {each['model_version']}" for each in every if each["model"])
            models = ", ".join(dict.fromkeys(told))
            markets = ", ".join(each["instrument"] for each in every)
            by = f", model {models}" if models else ""
            return f"started: {row['strategy']} {row['strategy_version']} on {markets} {row['timeframe']}{by}"
        case "paused" | "resumed":
            return f"{row['k']} by {row['by']}"
        case "stopped" | "finished":
            return f"{row['k']}: equity {row['eq']:,.2f} {quote}, P&L {row['pnl']:+,.2f}, {row['trades']} trades"
        case "risk":
            return f"limit of the {row['rule']}, {row['limit']:.2%}: {row['reached']:.2%}"
        case "missed":
            return f"{row['bars']} bars came too late to be traded on; working orders met them, the strategy did not"
        case "broker":
            said = _BROKER.get(row["state"])
            return said.format(**row) if said else None
        case "actions":
            return f"{len(row['actions'])} splits and dividends to come are known"
        case "feed":
            return _FEED[row["state"]].format(**row)
        case "model":
            refused = f" is refused: {row['reason']}" if row["reason"] else f" takes over from version {row['was']}"
            return f"model version {row['version']}{refused}"
        case "cut":
            kept = f"; {row['rows']} rows are kept in the quarantine" if row["rows"] else ""
            return f"the journal was damaged at row {row['row']} ({row['why']}) and was cut there{kept}"
        case "error":
            return f"{row['where']} failed: {row['message']}\n{row['traceback'].rstrip()}"
    return None
