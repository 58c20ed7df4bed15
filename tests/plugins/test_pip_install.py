"""A third party's strategy: built as a wheel, installed by pip into a scratch environment, listed and run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.3.1"
requires-python = ">=3.11"
dependencies = ["pregao>=0.1"]

[project.entry-points."pregao.strategies"]
{strategy} = "{module}:Strategy"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

DIP_BUYER = '''
"""Buys after three lower closes in a row."""
from pydantic import Field
from pregao.strategies.contract import Enter, StrategyConfig


class Config(StrategyConfig):
    run: int = Field(3, ge=1, le=20, title="Lower closes in a row")


class Strategy:
    """Buys the dip."""

    api = 1
    title = "Dip buyer"
    Config = Config

    def __init__(self, config):
        self.config = config

    def warmup(self):
        return self.config.run + 1

    def on_bar(self, ctx, bar):
        falling = all(b < a for a, b in zip(ctx.closes, ctx.closes[1:]))
        return (Enter(reason="three lower closes"),) if falling else ()

    def save(self):
        return {}

    def load(self, state):
        pass
'''


def run(*command: object, cwd: Path, home: Path | None = None) -> str:
    env = os.environ | ({"PREGAO_HOME": str(home)} if home else {})
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel(folder: Path, name: str, strategy: str, body: str) -> Path:
    module = name.replace("-", "_")
    project = folder / name
    (project / module).mkdir(parents=True)
    (project / "pyproject.toml").write_text(PYPROJECT.format(name=name, module=module, strategy=strategy))
    (project / module / "__init__.py").write_text(body)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels", cwd=project)
    return next((folder / "wheels").glob(f"{module}-*.whl"))


@pytest.mark.slow
def test_a_strategy_installed_by_pip_appears_and_trades(tmp_path: Path, home: Path) -> None:
    good = wheel(tmp_path, "dip-buyer", "dip-buyer", DIP_BUYER)
    bad = wheel(tmp_path, "bad-luck", "bad-luck", "import a_module_that_nobody_has")
    scratch = tmp_path / "scratch"
    run(sys.executable, "-m", "venv", scratch, cwd=tmp_path)
    python = scratch / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", good, bad, cwd=tmp_path)
    # The heavy dependencies are borrowed from this environment: what is tested is the plugin's own installation.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pregao = (python, "-c", "import sys; from pregao.cli import main; main(sys.argv[1:])")

    listed = {p["name"]: p for p in json.loads(run(*pregao, "plugins", "--json", cwd=tmp_path, home=home))}
    assert listed["dip-buyer"]["state"] == "ok"
    assert (listed["dip-buyer"]["distribution"], listed["dip-buyer"]["version"]) == ("dip-buyer", "0.3.1")
    assert listed["dip-buyer"]["title"] == "Dip buyer"
    assert listed["bad-luck"]["state"] == "broken"
    assert "a_module_that_nobody_has" in listed["bad-luck"]["error"]
    assert listed["ma-cross"]["state"] == "ok"

    run(*pregao, "ingest", "--source", "synthetic", "--symbol", "NOISE/USDT", "--timeframe", "1h",
        "--option", "bars=600", cwd=tmp_path, home=home)  # fmt: skip
    report = json.loads(
        run(
            *pregao,
            "backtest",
            "--strategy",
            "dip-buyer",
            "--data",
            "NOISE/USDT",
            "--set",
            "run=2",
            "--json",
            cwd=tmp_path,
            home=home,
        )
    )
    assert report["bars"] == 600
    assert report["metrics"]["trades"] > 10
