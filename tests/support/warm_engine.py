"""Imported for what it does: the compiled engine is loaded, so that children forked from here need not load it."""

from decimal import Decimal

from probe_market import INSTRUMENT, MINUTE, random_walk

from pregao.simulation.engine import Engine
from pregao.simulation.layout import ENTER_LONG, LEAVE
from pregao.simulation.plan import Plan

_bars = random_walk(5)
_engine = Engine(Plan.of(INSTRUMENT, MINUTE, cash=Decimal(1000), entry_value=Decimal(100)))
for _i in range(4):
    _engine.step(_bars.bar(_i))
    _engine.signal(ENTER_LONG if _i == 0 else LEAVE)
