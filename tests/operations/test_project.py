"""A project's folder where there was none."""

from __future__ import annotations

from pathlib import Path

from pregao.learning.params import read_params
from pregao.operations.project import lay_out

ROOT = Path(__file__).parents[2]


def test_an_empty_folder_gets_the_knobs_and_the_pipeline_of_the_project(tmp_path: Path) -> None:
    said: list[str] = []
    assert lay_out(tmp_path / "new", said.append) == ["params.yaml", "dvc.yaml"]
    assert [line.split(" had no ")[1].split(":")[0] for line in said] == ["params.yaml", "dvc.yaml"]
    for name in ("params.yaml", "dvc.yaml"):
        assert (tmp_path / "new" / name).read_bytes() == (ROOT / name).read_bytes()
    read_params(tmp_path / "new" / "params.yaml")


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 3\n")
    assert lay_out(tmp_path, print) == ["dvc.yaml"]
    assert lay_out(tmp_path, print) == []
    assert (tmp_path / "params.yaml").read_text() == "seed: 3\n"
