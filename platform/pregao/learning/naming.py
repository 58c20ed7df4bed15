"""What the models of a series are called."""

from __future__ import annotations

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe


def model_name(instrument: Instrument, timeframe: Timeframe) -> str:
    """The name under which the models of a series are registered: ``pregao.<source>.<venue>.<symbol>.<timeframe>``.

    Source and venue are in it because the same symbol at two venues is two markets.
    """
    return f"pregao.{instrument.key.replace('/', '.')}.{timeframe}"
