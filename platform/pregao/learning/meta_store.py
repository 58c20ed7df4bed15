"""The meta-model that is in use for a model: trained once it has been judged to help, taken away if not.

One for each registered model, in ``var/meta/<model>/``: its trees, and ``meta.json``, which is written last and names
their digest. It advises only on versions of the model whose signals it has learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.errors import PregaoError, UsageError
from pregao.learning import train as training
from pregao.learning.decision import expected_value
from pregao.learning.folds import last_fold
from pregao.learning.inference.trees import chances, raw_values
from pregao.learning.meta import Meta, examples_of
from pregao.learning.params import FoldParams, ModelParams
from pregao.market.atomic import exclusive, write_atomic
from pregao.settings import settings

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Advice:
    """A meta-model ready to use.

    Attributes:
        digest: of what it computes.
        versions: of the model whose signals it has learnt from.
        names: what it sees: chance, expected value and threshold of the model, then its features.
    """

    digest: str
    versions: tuple[str, ...]
    names: tuple[str, ...]
    payoff: Mapping[str, float]
    threshold: float
    classifier: Any

    def suits(self, version: str, features: Sequence[str]) -> bool:
        """Whether it may advise on a version of the model with these features."""
        return version in self.versions and self.names[3:] == tuple(f"f:{name}" for name in features)

    def of(self, chance: float, value: float, threshold: float, features: Floats) -> tuple[float, bool]:
        """The chance that an entry ends in profit, by what the model says and sees, and whether to let it be made."""
        row = np.concatenate([[chance, value, threshold], features]).reshape(1, -1)
        own = float(chances(raw_values(self.classifier, row))[0])
        worth = float(expected_value(np.array([own]), self.payoff["win"], self.payoff["loss"])[0])
        return own, worth >= self.threshold


def learn(
    name: str, frame: pd.DataFrame, judged: Meta, folds: FoldParams, params: ModelParams, seed: int
) -> str | None:
    """Put the meta-model of a model in use if it was judged to help; take the old one away if not.

    Args:
        frame: the outcomes of the model's sessions, as `pregao.learning.meta.judge` was given them.
        judged: what that said.

    Returns:
        The digest of the one in use; None if there is none now.
    """
    folder = _folder(name)
    with exclusive(folder / ".lock"):
        if not judged.helps:
            (folder / "meta.json").unlink(missing_ok=True)
            return None
        rows, versions = examples_of(frame)
        fitted = training.fit(rows, last_fold(rows.at_ns, rows.end_ns, folds), params, seed)
        known = training.summary(fitted)
        before = _document(folder)
        if before is not None and before["digest"] == known["digest"] and before["versions"] == versions:
            return str(known["digest"])
        training.save(fitted, folder / f"{known['digest'][:16]}.cbm")
        document = {**known, "versions": versions, "names": list(rows.names), "judged": judged.to_json()}
        write_atomic(folder / "meta.json", json.dumps(document, indent=1).encode(), folder / ".tmp")
        for old in folder.glob("*.cbm"):
            if old.stem != known["digest"][:16]:
                old.unlink()
        return str(known["digest"])


def stamp(name: str) -> int:
    """Changes when another meta-model is in use; 0 if there is none. Quick enough to be asked at every bar."""
    try:
        return (_folder(name, make=False) / "meta.json").stat().st_mtime_ns
    except OSError:
        return 0


def in_use(name: str) -> Advice | None:
    """The meta-model that is in use for a model; None if there is none.

    Raises:
        PregaoError: if it is damaged.
    """
    from catboost import CatBoostClassifier, CatBoostError

    folder = _folder(name, make=False)
    document = _document(folder)
    if document is None:
        return None
    try:
        classifier = CatBoostClassifier().load_model(str(folder / f"{document['digest'][:16]}.cbm"))
        if training.digest(classifier) != document["digest"]:
            raise UsageError("its trees are not those that were written")
    except (CatBoostError, OSError, UsageError) as error:
        raise PregaoError(
            f"The meta-model of {name} cannot be used: {error}.", f"Delete {folder}; the monitor trains it again."
        ) from None
    return Advice(
        document["digest"], tuple(document["versions"]), tuple(document["names"]), document["payoff"],
        float(document["threshold"]), classifier,
    )  # fmt: skip


def _document(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return None  # cut short by hand: it is trained again
    return found


def _folder(name: str, make: bool = True) -> Path:
    folder = settings().var / "meta" / name
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
