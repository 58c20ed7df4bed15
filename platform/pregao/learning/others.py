"""The other instruments that features look at: named in params.yaml by what they are (``market``), found in a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FeatureSet
from pregao.market.store import Store


def named(features: FeatureSet, keys: Mapping[str, str]) -> None:
    """Check that just the inputs that the features have are named.

    Raises:
        UsageError: if one is not, or another is.
    """
    lacking = [name for name in features.others if name not in keys]
    if lacking:
        raise UsageError(
            f"The feature set {features.name!r} looks at another instrument, its {lacking[0]}, and none is named.",
            f"Name it in params.yaml, under features: others: {{{lacking[0]}: source/venue/symbol}}.",
        )
    spare = [name for name in keys if name not in features.others]
    if spare:
        raise UsageError(
            f"The feature set {features.name!r} looks at no other instrument {spare[0]!r}.",
            "Take it out of `features: others` in params.yaml, or choose a set that does.",
        )


def keys_of(meta: Mapping[str, Any]) -> dict[str, str]:
    """The keys of the instruments that a model's features look at, by what they are to it."""
    return dict(meta.get("others", {}))


def bars_of(keys: Mapping[str, str], timeframe: Timeframe, store: Store) -> dict[str, Bars]:
    """Their bars, by what they are.

    Raises:
        NotFoundError: if the store lacks one.
    """
    found = {}
    for name, key in keys.items():
        try:
            found[name] = store.bars(store.instrument(key), timeframe)
        except NotFoundError:
            raise NotFoundError(
                f"The features look at {key} as their {name}, and there are no {timeframe} bars of it here.",
                f"Ingest them: `pregao ingest … --timeframe {timeframe}`, then try again.",
            ) from None
    return found
