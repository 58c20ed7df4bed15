"""Where things are and how the services are reached: environment variables ``PREGAO_*``, read once."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from pregao.core.errors import UsageError

QUIET = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DVC_NO_ANALYTICS": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Nothing here phones home: set in every process before its libraries are imported."""


_PASSWORD = re.compile(r"(\w://[^/\s:@]*:)[^/\s@]+@")


def keep_quiet() -> None:
    """Set `QUIET` in this process, for it and its children; a value set by the user wins."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def shown(text: str) -> str:
    """A text as it may be shown or kept: addresses in it (``scheme://name:password@…``) without their passwords."""
    return _PASSWORD.sub(r"\1***@", text)


def _home() -> Path:
    """The nearest folder, from here upwards, that holds ``params.yaml`` and ``dvc.yaml``; else here."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "params.yaml").exists() and (p / "dvc.yaml").exists()), here)


class Settings(BaseSettings):
    """The settings of one installation. Every field can be set as ``PREGAO_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="PREGAO_", frozen=True)

    home: Path = Field(default_factory=_home, description="Folder of the project: params.yaml, data, runs")
    host: str = Field(default="127.0.0.1", description="Address that the servers listen on")
    panel_port: int = Field(default=7860, ge=1, le=65535, description="Port of the panel")
    panel_rate: float = Field(default=50.0, ge=0, description="Requests a second to the API, a visitor; 0 is no limit")
    prefect_port: int = Field(default=4200, ge=1, le=65535, description="Port of the Prefect server")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="Port of MLflow")
    database_url: str = Field(default="", description="SQLAlchemy URL of the sessions; default SQLite in var/")
    mlflow_uri: str = Field(default="", description="MLflow tracking URI; default SQLite in mlruns/")
    dvc_remote: str = Field(default="", description="DVC remote of the data folder; none by default")
    quality: dict[str, str] = Field(
        default_factory=dict, description='What ingests do with flaws, JSON: {"spike": "quarantine"}'
    )

    @property
    def data(self) -> Path:
        """The store: Parquet in its own git and DVC repository."""
        return self.home / "data"

    @property
    def var(self) -> Path:
        """What can be thrown away or is private to this machine: logs, snapshots, the sessions' database."""
        return self.home / "var"

    @property
    def mlruns(self) -> Path:
        """MLflow's SQLite database and artifacts."""
        return self.home / "mlruns"

    @property
    def sessions_url(self) -> str:
        """SQLAlchemy URL of the sessions' database."""
        return self.database_url or f"sqlite:///{self.var / 'sessions.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking and registry URI; ``postgresql://`` means the psycopg driver, as for the sessions."""
        given = re.sub("^postgresql://", "postgresql+psycopg://", self.mlflow_uri)
        return given or f"sqlite:///{self.mlruns / 'mlflow.db'}"

    @property
    def prefect_api(self) -> str:
        """URL of the Prefect server's API; the standard ``PREFECT_API_URL`` wins."""
        return os.environ.get("PREFECT_API_URL") or f"http://{self.host}:{self.prefect_port}/api"


@cache
def settings() -> Settings:
    """The settings of this process. Tests call ``settings.cache_clear()`` after changing the environment.

    Raises `UsageError` naming the variable whose value cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, given = str(first["loc"][0]), first["input"]
        raise UsageError(f"PREGAO_{name.upper()} is {given!r}: {first['msg']}.", "Mend it or unset it.") from None
    except SettingsError as error:
        field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
        raise UsageError(f"PREGAO_{field.upper()} is not JSON.", 'Write it as {"spike": "quarantine"}.') from None
