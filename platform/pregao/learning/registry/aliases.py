"""Which version is for what: the aliases, and promotions that a failure half way cannot leave half made.

A promotion is one move of ``champion``. Around it the version's tags tell of it: ``promoting`` is written before,
``promotion``, the same text, once ``previous`` points to the champion of before and the new one is no challenger any
more. So whatever breaks off can be finished later (`settle`), and a champion that no tag tells of was made by a person
in MLflow's own pages.
"""

from __future__ import annotations

import json
import time
from typing import Any

from pregao.core.errors import NotFoundError, unknown
from pregao.learning.registry.connection import MEND, failed, failures

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


def registered(client: Any, name: str) -> Any:
    """The registered model, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def alias(client: Any, name: str, wanted: str) -> str | None:
    """The version that an alias points to, as text; None if it points nowhere."""
    model = registered(client, name)
    version = model.aliases.get(wanted) if model is not None else None
    return str(version) if version is not None else None


def versions(client: Any, name: str) -> list[Any]:
    """The versions of a model, newest first."""
    return sorted(client.search_model_versions(f"name = '{name}'"), key=lambda v: -int(v.version))


def resolve(client: Any, name: str, alias_or_version: str) -> str:
    """A version's number, as text.

    Raises:
        NotFoundError: if there is no such model, alias or version.
    """
    model = registered(client, name)
    if model is None:
        raise no_model(name)
    if alias_or_version in model.aliases:
        return str(model.aliases[alias_or_version])
    numbers = [str(v.version) for v in versions(client, name)]
    if alias_or_version in numbers:
        return alias_or_version
    if alias_or_version == CHAMPION:
        raise NotFoundError(
            f"{name} has no champion: the gate has passed none of its {len(numbers)} versions.",
            "`pregao models` says why; `pregao promote` makes one champion by hand.",
        )
    raise unknown("version or alias", alias_or_version, [*model.aliases, *numbers])


def no_model(name: str) -> NotFoundError:
    """There is no such registered model."""
    return NotFoundError(f"There is no model {name} yet.", "Train one with `pregao retrain`.")


def promote(client: Any, name: str, version: str, by: str, reason: str = "") -> None:
    """Make a version champion; the champion of before becomes ``previous``. ``reason`` is what a person gave.

    Raises:
        PregaoError: if MLflow fails once the alias may have moved; before that MLflow's own error.
    """
    before = alias(client, name, CHAMPION)
    told = {"by": by, "ns": time.time_ns(), "before": before if before != version else None}
    record = json.dumps(told | ({"reason": reason} if reason else {}))
    client.set_model_version_tag(name, version, "promoting", record)
    try:
        client.set_registered_model_alias(name, CHAMPION, version)
        _finish(client, name, version, record)
    except failures() as error:
        raise failed(
            error, f"Whether version {version} became champion, `pregao models` tells once MLflow runs again. {MEND}"
        ) from error


def settle(client: Any, name: str) -> None:
    """Finish a promotion that broke off after the champion was made; record one that was made by hand in MLflow."""
    now = alias(client, name, CHAMPION)
    if now is None:
        return
    known = versions(client, name)
    tags = next(v.tags for v in known if str(v.version) == now)
    if tags.get("promoting") != tags.get("promotion"):
        _finish(client, name, now, tags["promoting"])
        return
    last = last_promoted(known)
    if last != now:
        record = json.dumps({"by": "person", "ns": time.time_ns(), "before": last})
        client.set_model_version_tag(name, now, "promoting", record)
        _finish(client, name, now, record)


def last_promoted(known: list[Any]) -> str | None:
    """The version whose completed promotion is the latest."""
    told = [(json.loads(v.tags["promotion"])["ns"], str(v.version)) for v in known if "promotion" in v.tags]
    return max(told)[1] if told else None


def _finish(client: Any, name: str, version: str, record: str) -> None:
    before = json.loads(record)["before"]
    if before is not None:
        client.set_registered_model_alias(name, PREVIOUS, before)
    if alias(client, name, CHALLENGER) == version:  # it challenges nobody any more
        client.delete_registered_model_alias(name, CHALLENGER)
    client.set_model_version_tag(name, version, "promotion", record)


def challenge(client: Any, name: str, version: str) -> None:
    """Make a version the challenger."""
    client.set_registered_model_alias(name, CHALLENGER, version)
