"""The rule book as slow, obvious Python: what the engine must do, in fractions and real units.

Written from the rules and not from the engine. Prices are in the quote currency, quantities in base units, money in
the quote currency, all `fractions.Fraction`; times are whole nanoseconds. Nothing is rounded but where a rule says so,
and there with the step named.
"""

from oracle.book import Account, Event, Order, Position
from oracle.exchange import Exchange
from oracle.rules import Bracket, Candle, Dividend, Fees, Funding, Market, Split, Terms

__all__ = [
    "Account",
    "Bracket",
    "Candle",
    "Dividend",
    "Event",
    "Exchange",
    "Fees",
    "Funding",
    "Market",
    "Order",
    "Position",
    "Split",
    "Terms",
]
