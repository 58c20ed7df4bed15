"""The knobs of learning, read from ``params.yaml`` and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pregao.core.errors import UsageError, refusals
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.plan import Plan


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureParams(_Section):
    """Which features the model sees.

    Attributes:
        others: the keys of other instruments that they look at, by what those are to them, such as ``market``.
    """

    set: str
    others: dict[str, str] = Field(default_factory=dict)


class PlanParams(_Section):
    """The operation that the model learns to judge: money in the quote currency, rates in per cent."""

    cash: Decimal
    entry_value: Decimal
    take_profit: Decimal = Field(gt=0)
    stop_loss: Decimal = Field(gt=0)
    horizon: int = Field(gt=0)
    fee: Decimal
    slippage: Decimal

    def plan(self, instrument: Instrument, timeframe: Timeframe) -> Plan:
        """The plan for one instrument; raises `UsageError` for values out of range."""
        return Plan.of(instrument, timeframe, **self.model_dump())


class FoldParams(_Section):
    """The walk-forward: see `pregao.learning.folds`."""

    blocks: int = Field(ge=1, le=50)
    first_train: float = Field(gt=0, lt=1)
    stop_share: float = Field(gt=0, lt=1)
    embargo: int = Field(ge=0)


class CombinationParams(_Section):
    """The combinatorial folds: see `pregao.learning.folds.combinatorial`."""

    groups: int = Field(ge=3, le=20)
    test_groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _some_train(self) -> CombinationParams:
        if self.test_groups > self.groups - 2:
            raise ValueError(f"at least two of the {self.groups} groups must be left to train on")
        return self


class SearchParams(_Section):
    """The search for the model's knobs: see `pregao.learning.search`."""

    trials: int = Field(default=0, ge=0, le=1_000)


class ModelParams(_Section):
    """CatBoost's: names as there."""

    iterations: int = Field(ge=1, le=10_000)
    learning_rate: float = Field(gt=0, le=1)
    depth: int = Field(ge=1, le=10)
    l2_leaf_reg: float = Field(ge=0)
    early_stopping: int = Field(ge=1)
    thread_count: int = Field(ge=1)


class GateParams(_Section):
    """What a champion must pass: see `pregao.learning.gate`."""

    min_deflated_sharpe: float = Field(gt=0, lt=1)
    max_overfitting: float = Field(ge=0, le=1)
    max_champion_p: float = Field(gt=0, lt=1)
    max_random_p: float = Field(gt=0, lt=1)
    min_net_return: float
    min_net_return_doubled_costs: float
    max_drawdown: float = Field(gt=0, le=1)
    min_trades: int = Field(ge=1)
    max_calibration_error: float = Field(gt=0, le=1)
    min_skill: float


class Dataset(_Section):
    """What a workspace adds: whose bars, of which version, judged by which code.

    Attributes:
        instrument: its key.
        timeframe: its name.
        version: of the data, as `pregao data versions` lists it; recorded, and nothing depends on it, since the
            content of the snapshot decides whether a stage runs again.
        code: digest of the code that makes the results, `pregao.learning.pipeline.code_version`.
    """

    instrument: str
    timeframe: str
    version: str
    code: str


class Params(_Section):
    """All of ``params.yaml``; in a workspace with its ``dataset``."""

    seed: int = Field(ge=0, lt=2**31)
    holdout: float = Field(ge=0, lt=0.9)
    panel: tuple[str, ...] = ()
    features: FeatureParams
    plan: PlanParams
    folds: FoldParams
    combinations: CombinationParams
    model: ModelParams
    search: SearchParams = SearchParams()
    random_runs: int = Field(ge=1, le=100_000)
    gate: GateParams
    dataset: Dataset | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of every knob but the dataset."""
        knobs = self.model_dump(mode="json", exclude={"dataset"})
        return hashlib.sha256(json.dumps(knobs, sort_keys=True).encode()).hexdigest()


def read_params(path: Path, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Params:
    """Read and check a ``params.yaml``.

    Args:
        overrides: values that win over the file's, by section: ``{"plan": {"take_profit": 3}}``.

    Raises:
        UsageError: naming the file and the first knob that is missing, unknown or out of range.
    """
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
        for section, values in (overrides or {}).items():
            document[section] = {**document[section], **values}
        return Params.model_validate(document)
    except FileNotFoundError:
        raise UsageError(
            f"There is no {path.name} in {path.parent}.", "Run from the project's folder, or set PREGAO_HOME to it."
        ) from None
    except ValidationError as error:
        raise UsageError(f"{path.name}: {refusals(error)[0]}.", f"Mend {path}.") from None
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} cannot be read as params: {' '.join(str(error).split())}.") from None
