"""A trained policy as numbers: what NumPy needs to trade by it, in a small file that is checked when it is read.

The file is JSON: ``computes`` holds all that decides (the feature set with its hash, the scale of the features, the
layers of the network) and which chance its leaning stands for, ``digest`` is SHA-256 over it, ``lineage`` says what it
was made of, ``verdict`` what the gate said. A file that was changed or cut, or made for other features than this Pregão
makes, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import NotFoundError, PregaoError
from pregao.features.sets import feature_set
from pregao.market.atomic import write_atomic
from pregao_rl.chance import Chance
from pregao_rl.stance import LONG, NAMES, OWN, REACH

Floats = NDArray[np.float64]
FORMAT = "pregao-rl policy 2"
_MOST_BYTES = 16 * 1024 * 1024
_AGAIN = "Train it again with `pregao-rl train`."


@dataclass(frozen=True, eq=False)
class Policy:
    """A small network: ``tanh`` layers, and one figure for each action at the end; the largest is taken.

    Attributes:
        feature_set, feature_hash: what it looks at.
        mean, std: of the features where it was trained, shape ``(k,)``.
        layers: weights of shape ``(out, in)`` and biases ``(out,)``, from the observation to the actions.
        chance: which chance of a profitable entry its leaning stands for; None if nobody has measured it.
        lineage: what it was made of.
        verdict: what the gate said; empty if it was not judged.
    """

    feature_set: str
    feature_hash: str
    mean: Floats
    std: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    chance: Chance | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)
    verdict: Mapping[str, Any] = field(default_factory=dict)

    @property
    def actions(self) -> int:
        """2, flat and long, or 3, short too."""
        return len(self.layers[-1][1])

    def observe(self, features: Floats, own: Floats) -> Floats:
        """What it sees, see `observation`."""
        return observation(features, self.mean, self.std, own)

    def shares(self, observed: Floats) -> Floats:
        """How it leans towards each action, shape ``(..., actions)``, adding up to 1."""
        scores = self._scores(observed)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float64)

    def leaning(self, observed: Floats) -> Floats:
        """How it leans towards long and against all else, in log odds, shape ``(...)``."""
        scores = self._scores(observed)
        others = np.delete(scores, LONG, axis=-1)
        return np.asarray(scores[..., LONG] - np.logaddexp.reduce(others, axis=-1), np.float64)

    def chances(self, features: Floats) -> Floats:
        """The chance that an entry at these features would pay, asked while it is flat; shape ``(...)``.

        Raises:
            PregaoError: if nobody has measured what its leaning stands for.
        """
        if self.chance is None:
            raise PregaoError("This policy names no chance.", _AGAIN)
        own = np.zeros((*features.shape[:-1], OWN))
        return self.chance.of(self.leaning(self.observe(features, own)))

    def _scores(self, observed: Floats) -> Floats:
        value = observed
        for weight, bias in self.layers[:-1]:
            value = np.tanh(value @ weight.T + bias)
        weight, bias = self.layers[-1]
        return np.asarray(value @ weight.T + bias, np.float64)

    @cached_property
    def computes(self) -> dict[str, Any]:
        """All that decides, as JSON."""
        return {
            "feature_set": self.feature_set,
            "feature_hash": self.feature_hash,
            "actions": list(NAMES[: self.actions]),
            "mean": _text(self.mean),
            "std": _text(self.std),
            "layers": [{"shape": list(w.shape), "weight": _text(w), "bias": _text(b)} for w, b in self.layers],
            "chance": None if self.chance is None else [self.chance.slope, self.chance.intercept],
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides, hexadecimal."""
        return _digest(self.computes)

    def write(self, folder: Path) -> Path:
        """Store it as ``<first 12 of the digest>.json``; the same policy has the same name."""
        document = {
            "format": FORMAT, "digest": self.digest, "computes": self.computes, "lineage": dict(self.lineage),
            "verdict": dict(self.verdict),
        }  # fmt: skip
        path = folder / f"{self.digest[:12]}.json"
        write_atomic(path, json.dumps(document, indent=1, allow_nan=False).encode(), folder / ".tmp")
        return path


def observation(features: Floats, mean: Floats, std: Floats, own: Floats) -> Floats:
    """What a policy sees at a bar, shape ``(..., k + 2)``, each figure in [-5, 5].

    The features in standard deviations from their mean in training, and the figures of `stance.own_figures`. A feature
    that is missing is seen as its mean: a network has no other way to say that it knows nothing.
    """
    scaled = np.nan_to_num(np.clip((features - mean) / std, -REACH, REACH), nan=0.0)
    return np.concatenate([scaled, own], axis=-1)


def read(path: Path) -> Policy:
    """A policy from its file, see `from_bytes`; raises `NotFoundError` if there is no such file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"There is no policy {path}: {error.strerror}.", "`pregao-rl list` names those that there are."
        ) from None
    return from_bytes(raw, str(path))


def from_bytes(raw: bytes, where: str) -> Policy:
    """A policy from the text of its file, which is ``where``.

    Raises:
        PregaoError: if it is no policy, was changed or cut, or was made for other features.
    """
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError("it is far too long")
        document = json.loads(raw)
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, not {FORMAT!r}")
        computes = document["computes"]
        if _digest(computes) != document["digest"]:
            raise ValueError("its content is not what its digest says")
        policy = Policy(
            computes["feature_set"], computes["feature_hash"], _array(computes["mean"]), _array(computes["std"]),
            tuple((_array(one["weight"]).reshape(one["shape"]), _array(one["bias"])) for one in computes["layers"]),
            Chance(*map(float, computes["chance"])) if computes["chance"] is not None else None,
            document["lineage"], document["verdict"],
        )  # fmt: skip
        _fits(policy)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PregaoError(f"{where} cannot be read as a policy: {error}.", _AGAIN) from None
    if feature_set(policy.feature_set).hash != policy.feature_hash:
        raise PregaoError(
            f"The policy {where} was trained on features {policy.feature_set!r} of another definition than this "
            "Pregão makes.",
            _AGAIN,
        )
    return policy


def _fits(policy: Policy) -> None:
    """Raises ValueError if the numbers do not fit each other."""
    width = len(policy.mean) + OWN
    if policy.std.shape != policy.mean.shape or not (policy.std > 0).all():
        raise ValueError("its scale is not one of its features")
    for weight, bias in policy.layers:
        if weight.ndim != 2 or weight.shape != (len(bias), width):
            raise ValueError("its layers do not follow each other")
        width = len(bias)
    numbers = [policy.mean, policy.std, *(part for layer in policy.layers for part in layer)]
    if policy.chance is not None:
        numbers.append(np.array([policy.chance.slope, policy.chance.intercept]))
    if width not in (2, 3) or not all(np.isfinite(part).all() for part in numbers):
        raise ValueError("its actions are not two or three, or a number is missing")


def _digest(computes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(computes, sort_keys=True).encode()).hexdigest()


def _text(values: Floats) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f8").tobytes()).decode()


def _array(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f8").astype(np.float64)
