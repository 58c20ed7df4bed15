"""Imported for what it does: it loads the compiled engine and features, so that children forked from here need not."""

from decimal import Decimal

from probe_market import INSTRUMENT, MINUTE, random_walk

from pregao.features.sets import feature_set
from pregao.simulation.engine import Engine
from pregao.simulation.layout import ENTER_LONG, LEAVE
from pregao.simulation.plan import Plan

_features = feature_set("core25").stream(MINUTE.seconds)
_bars = random_walk(5)
_engine = Engine(Plan.of(INSTRUMENT, MINUTE, cash=Decimal(1000), entry_value=Decimal(100)))
for _i in range(4):
    _engine.step(_bars.bar(_i))
    _features.update(_bars.bar(_i))
    _engine.signal(ENTER_LONG if _i == 0 else LEAVE)
