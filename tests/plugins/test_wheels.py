"""The distributions: complete wheels and sdists, and an installation from wheels alone that shows the whole product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from free_ports import free_port

from pregao.operations.browsers import chromium

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
PACKAGES = ("platform/pregao", "flows/pregao_flows", "ui/pregao_ui")
LEFT_OUT = ("__pycache__", ".ruff_cache", ".mypy_cache")
PYTHONS = ("3.11", "3.12", "3.13")


def run(*command: object, cwd: Path, timeout: float = 280, **environment: str) -> str:
    """What a command prints; nothing of this checkout, and no setting of the tests, is handed on."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PREGAO_", "PREFECT_", "MLFLOW_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``python -m build`` of each: the sdist from the checkout, the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for project in PROJECTS:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, project, cwd=folder)
    return folder


def sources(folder: Path) -> Iterator[Path]:
    """The files of a folder that git would keep."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts):
            yield path


@pytest.mark.slow
def test_each_distribution_builds_a_wheel_and_an_sdist(dist: Path) -> None:
    names = {"pregao", *(project.name.replace("-", "_") for project in PROJECTS[1:])}
    assert {path.name.split("-")[0] for path in dist.glob("*-py3-none-any.whl")} == names
    assert {path.name.split("-")[0] for path in dist.glob("*.tar.gz")} == names


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(dist: Path) -> None:
    with ZipFile(next(dist.glob("pregao-*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in wheel.namelist() if name.endswith("METADATA"))
        told = wheel.read(metadata).decode()
    wanted = {path.relative_to((ROOT / p).parent).as_posix() for p in PACKAGES for path in sources(ROOT / p)}
    assert inside == wanted | {"pregao/project/params.yaml", "pregao/project/dvc.yaml"}
    for one in (
        "pregao_ui/web/live.js",
        "pregao_ui/locales/pt-BR.json",
        "pregao/py.typed",
        "pregao/learning/page.html",
    ):
        assert one in inside
    assert any(name.startswith("pregao/sessions/") and "migration" in name for name in inside)
    assert any("plugin_template" in name for name in inside)
    assert "License-Expression: Apache-2.0" in told


@pytest.mark.slow
def test_the_sdist_has_what_is_needed_to_test_and_build_it_and_no_data_of_anyone(dist: Path) -> None:
    with tarfile.open(next(dist.glob("pregao-*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    for one in (
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "requirements.lock", "Makefile", "params.yaml",
        "dvc.yaml", "tests/conftest.py", "plugins/pregao-classics/pyproject.toml",
    ):  # fmt: skip
        assert one in inside
    mine = {name.partition("/")[0] for name in inside} & {"data", "var", ".venv", ".git"}
    assert not mine
    assert {name for name in inside if name.startswith("mlruns/")} <= {"mlruns/.gitkeep"}


def interpreter(version: str) -> str | None:
    """A Python of this version that can make environments: on the PATH, or pyenv's."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for found in (shutil.which(f"python{version}"), *map(str, pyenv)):
        if found is not None:
            asked = subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True, check=False)
            if asked.returncode == 0:
                return found
    return None


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.servers
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("version", PYTHONS)
def test_from_wheels_alone_the_demo_shows_the_whole_product(version: str, dist: Path, tmp_path: Path) -> None:
    """Everything from wheels into a new environment, in a folder that knows nothing of the checkout."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    if chromium() is None:
        pytest.skip("there is no Chromium here")
    uv, env, home = Path(sys.executable).with_name("uv"), tmp_path / "env", tmp_path / "home"
    home.mkdir()
    run(python, "-m", "venv", env, cwd=tmp_path)
    install = (
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        env / "bin" / "python",
        "--only-binary",
        ":all:",
        "--no-deps",
    )
    run(*install, "--require-hashes", "--requirement", ROOT / "requirements.lock", cwd=tmp_path, timeout=1_500)
    run(*install, *dist.glob("*.whl"), cwd=tmp_path)
    pregao = env / "bin" / "pregao"
    place = run(env / "bin" / "python", "-c", "import pregao, sys; print(sys.version, pregao.__file__)", cwd=home)
    assert place.startswith(version)
    assert str(env) in place

    listed = {p["name"]: p["state"] for p in json.loads(run(pregao, "plugins", "--json", cwd=home))}
    assert listed.keys() >= {"catboost-ai", "buy-and-hold", "ensemble", "rl-policy"}
    assert set(listed.values()) == {"ok"}
    ports = {f"PREGAO_{name}_PORT": str(free_port()) for name in ("PANEL", "PREFECT", "MLFLOW")}
    told = json.loads(run(pregao, "demo", "--check", "--json", cwd=home, timeout=1_500, **ports))
    assert told["seconds"]
    assert (home / "params.yaml").exists()
