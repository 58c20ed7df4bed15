"""``pregao new-plugin``: what it writes installs from wheels, passes the kit, has a form and trades; the refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from free_ports import free_port

from pregao.cli import main
from pregao.operations.ports import is_free

ROOT = Path(__file__).parents[2]
FORM = """
import json, gradio, pregao
from pregao_ui import forms
from pregao_ui.services import Services
found = {s.name: s for s in Services().strategies.all}["mean-reverter"]
with gradio.Blocks():
    made = [(f.name, f.component.label, f.component.value, f.component.info) for f in forms.fields(found.settings, {})]
print(json.dumps({"title": found.title, "fields": made, "pregao": pregao.__file__}))
"""
SESSION = """
import json
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
journal = Journal()
values = {
    "instrument": "synthetic/synthetic/NOISE-USDT", "timeframe": "1h", "strategy": "mean-reverter",
    "config": {"span": 5, "distance": 0.3}, "entry_value": 1_000, "feed": {"speed": 0},
}
if __name__ == "__main__":
    session = start(spec_of(values), journal)
    run(session, journal)
    print(json.dumps({"session": session}))
"""


def clean_environment(home: Path | None) -> dict[str, str]:
    """Nothing of this checkout on the way to modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PREGAO_"))}
    return kept | ({"PREGAO_HOME": str(home)} if home else {})


def run(*command: object, cwd: Path, home: Path | None = None, status: int = 0) -> str:
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=clean_environment(home), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def of_the_panel(python: Path, path: str, cwd: Path, home: Path) -> Any:
    """What the API of a panel answers that runs in the environment of wheels."""
    port, log = free_port(), cwd / "panel.log"
    command = [python, "-m", "pregao_ui", "--port", str(port)]
    with log.open("wb") as said:
        panel = subprocess.Popen(command, cwd=cwd, env=clean_environment(home), stdout=said, stderr=said)
        try:
            while is_free("127.0.0.1", port):
                assert panel.poll() is None, log.read_text()
                time.sleep(0.2)
            with urlopen(f"http://127.0.0.1:{port}/api{path}", timeout=120) as answer:
                return json.load(answer)
        finally:
            panel.terminate()
            panel.wait(60)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The Python of an environment with Pregão from its wheel, and the folder with it.

    The dependencies are borrowed from the environment of the tests, by its packages' folder alone: its ``.pth`` files,
    which lead to the checkout, are not read.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels", cwd=ROOT)
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    install = (python, "-m", "pip", "install", "-q", "--no-index", "--no-deps")
    run(*install, next((folder / "wheels").glob("pregao-*.whl")), cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_plugin_installs_into_an_environment_of_wheels_and_trades(
    installed: tuple[Path, Path], tmp_path: Path, home: Path
) -> None:
    python, folder = installed
    pregao = (python.parent / "pregao",)
    run(*pregao, "new-plugin", "mean-reverter", "--into", folder / "mine", cwd=tmp_path, home=home)
    project = folder / "mine" / "mean-reverter"
    pip = (python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, project, cwd=tmp_path)

    listed = {p["name"]: p for p in json.loads(run(*pregao, "plugins", "--json", cwd=tmp_path, home=home))}
    mine = listed["mean-reverter"]
    assert (mine["state"], mine["title"], mine["version"]) == ("ok", "Mean reverter", "0.1.0")
    assert mine["summary"] == "Buys what has fallen well below its mean."

    said = run(python, "-m", "pytest", "-p", "no:cacheprovider", "-o", "timeout=200", cwd=project, home=home)
    assert "17 passed" in said

    form = json.loads(run(python, "-c", FORM, cwd=tmp_path, home=home).splitlines()[-1])
    assert Path(form["pregao"]).is_relative_to(folder / "env")
    assert form["title"] == "Mean reverter"
    assert [(name, label, value) for name, label, value, _ in form["fields"]] == [
        ("span", "Span", 20),
        ("distance", "Distance", 1.0),
    ]
    assert "Closes in the mean" in form["fields"][0][3]

    served = {s["name"]: s for s in of_the_panel(python, "/strategies", cwd=tmp_path, home=home)}["mean-reverter"]
    assert (served["title"], served["state"], served["error"]) == ("Mean reverter", "ok", "")
    assert served["settings"]["properties"]["span"]["default"] == 20

    run(*pregao, "ingest", "--source", "synthetic", "--symbol", "NOISE/USDT", "--timeframe", "1h",
        "--option", "bars=600", cwd=tmp_path, home=home)  # fmt: skip
    settings = ("--set", "span=5", "--set", "distance=0.3")
    data = ("--data", "NOISE/USDT", "--entry-value", "1000")
    told = run(*pregao, "backtest", "--strategy", "mean-reverter", *data, *settings, "--json", cwd=tmp_path, home=home)
    report = json.loads(told)
    assert report["metrics"]["trades"] > 10

    (tmp_path / "session.py").write_text(SESSION)
    session = json.loads(run(python, "session.py", cwd=tmp_path, home=home).splitlines()[-1])["session"]
    told = json.loads(run(*pregao, "trade", "show", session, "--json", cwd=tmp_path, home=home))
    assert told["status"] == "finished"
    assert told["trades"] == report["metrics"]["trades"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Mean", "cannot be the name of a plugin"),
        ("mean_reverter", "cannot be the name of a plugin"),
        ("-mean", "cannot be the name of a plugin"),
        ("../mean", "cannot be the name of a plugin"),
        ("mean--reverter", "cannot be the name of a plugin"),
        ("m" * 51, "At most 50 characters"),
        ("lambda", "a word of Python's own"),
        ("random", "my-random"),
        ("ma-cross", "There is a strategy 'ma-cross' already, in pregao-classics"),
        ("numpy", "There is a package 'numpy' already, in numpy"),
    ],
)
def test_a_name_that_cannot_be_one_or_is_taken_is_refused(
    name: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["new-plugin", "--into", str(tmp_path), "--", name])
    assert end.value.code == 2
    assert words in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("title", ['"; import os', "back\\slash", "two\nlines"])
def test_a_title_that_would_break_the_code_is_refused(
    title: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["new-plugin", "steady", "--title", title, "--into", str(tmp_path)])
    assert "cannot stand in the code" in capfd.readouterr().err


def test_what_is_there_is_left_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["new-plugin", "steady", "--title", "Steady as she goes", "--into", str(tmp_path), "--json"])
    told = json.loads(capfd.readouterr().out)
    assert sorted(told["files"]) == sorted(
        str(path.relative_to(tmp_path / "steady")) for path in (tmp_path / "steady").rglob("*") if path.is_file()
    )
    strategy = tmp_path / "steady" / "src" / "steady" / "strategy.py"
    assert 'title = "Steady as she goes"' in strategy.read_text()
    strategy.write_text("mine")
    for into in (tmp_path, strategy):
        with pytest.raises(SystemExit) as end:
            main(["new-plugin", "steady", "--into", str(into)])
        assert end.value.code == 2
        assert "--into" in capfd.readouterr().err
    assert strategy.read_text() == "mine"
