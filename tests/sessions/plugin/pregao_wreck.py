"""A plugin that does harm when it is imported: what the environment says."""

from __future__ import annotations

import os

from pregao_probe import Harm, HarmConfig

if os.environ.get("PREGAO_WRECK"):
    Harm(HarmConfig(how="", made=os.environ["PREGAO_WRECK"], at=1))


class Wreck(Harm):
    """Fine, once it is imported."""
