"""What runs say of themselves is known in Portuguese, all of it: no flow ends with words of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pregao.core.errors import NotFoundError, PregaoError, unknown
from pregao.learning import gate_words
from pregao_flows.messages import PREFECT, TEXTS, because, failing, of_error, of_gate, said, told
from pregao_ui.refusals import refusal

FLOWS = Path(__file__).parents[2] / "flows" / "pregao_flows"
BLANK = re.compile(r"\{(\w+)\}")
FIGURES = {"added": "60,000", "value": "0.412", "low": "…", "high": "0.250", "part": "12%"}
NAMES = {"model": "pregao.ccxt.binance.BTC-USDT.15m", "source": "ccxt", "figure": "prediction", "status": "stopped",
         "sessions": "btc-7f3a, eth-0c1d"}  # fmt: skip


def portuguese(message: object) -> str:
    return told(str(message), "pt-BR", lambda words: refusal("pt-BR", words))


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call of that name in the flows, with its module."""
    found = []
    for path in sorted(FLOWS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                found.append((path.name, node))
    return found


def test_a_state_with_words_is_made_in_one_place_of_a_message() -> None:
    states = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "State", "StateCreate")
    assert {(module, state) for state in states for module, _ in calls(state)} == {
        ("reports.py", "Completed"), ("reports.py", "Failed"),
    }  # fmt: skip
    assert [module for module, _ in calls("Message") if module != "messages.py"] == []
    raw = [line for path in FLOWS.glob("*.py") for line in path.read_text().splitlines() if '"message":' in line]
    assert raw
    assert [line for line in raw if "message.english" not in line and "run.message" not in line] == []


def test_every_message_that_a_flow_names_is_there_and_none_for_nothing() -> None:
    named = {node.args[0].value for _, node in calls("said") if isinstance(node.args[0], ast.Constant)}
    assert len(named) == len({ast.dump(node.args[0]) for _, node in calls("said")})  # named outright, each
    assert named == set(TEXTS)


@pytest.mark.parametrize("kind", TEXTS)
def test_each_is_told_in_portuguese_with_its_figures(kind: str) -> None:
    english, into = TEXTS[kind]
    blanks = set(BLANK.findall(english))
    assert blanks == set(BLANK.findall(into))
    figures = {name: FIGURES.get(name) or NAMES.get(name) or "7" for name in blanks}
    commas = {name: value.translate(str.maketrans(",.", ".,")) for name, value in figures.items() if name in FIGURES}
    words = {"figure": "previsões", "status": "parada"}
    expected = into.format(**figures | commas | words)
    message = said(kind, **figures)
    assert portuguese(message) == expected != str(message)
    assert told(str(message), "en", str) == str(message)
    assert portuguese(said("watched", models=2) + message) == f"2 modelos vigiados; {expected}"


@pytest.mark.parametrize("english", PREFECT)
def test_prefects_own_words_are_told_in_portuguese(english: str) -> None:
    assert set(BLANK.findall(english)) == set(BLANK.findall(PREFECT[english]))
    figures = dict.fromkeys(BLANK.findall(english), "7")
    assert portuguese(english.format(**figures)) == PREFECT[english].format(**figures)


@pytest.mark.parametrize("code", gate_words.TEXTS)
@pytest.mark.parametrize("must", ["", "over", "under", "at least", "at most"])
def test_the_reasons_of_the_gate_are_told_as_on_the_models_page(code: str, must: str) -> None:
    figures = {"sharpe": -1.92, "held": 0.5, "tried": 3, "splits": 15, "bars": 1200, "champion_sharpe": 1.25,
               "champion": "4", "why": "its file is gone"}  # fmt: skip
    name = code.partition(".")[0]
    reason = {"name": name, "code": code, "passed": False, "value": 0.711, "limit": 0.05, "must": must,
              "figures": figures}  # fmt: skip
    message = because(said("refused", model=NAMES["model"], version="2"), [of_gate(reason), of_gate(reason)])
    in_portuguese = gate_words.told(reason, "pt-BR")[0]
    assert portuguese(message) == f"{NAMES['model']} versão 2: o crivo a recusou: {in_portuguese}; {in_portuguese}"


def test_what_failed_is_told_by_the_platforms_own_sentences() -> None:
    gone = unknown("instrument", "X/Y", ["BTC/USDT"])
    full = PregaoError("The disk that holds /data is full; what was stored before is unharmed.")
    message = failing(
        said("ingested", source="ccxt", added="1,200", series=2, version="6e25e6cf80"),
        {"X/Y 15m": gone, "ETH/USDT 15m": full, "SOL/USDT 15m": ValueError("a: b; c")},
    )
    assert portuguese(message) == (
        "ccxt: 1.200 barras novas em 2 séries, versão 6e25e6cf80; falhou: "
        "X/Y 15m: Não existe ativo com o nome 'X/Y'. Existem: BTC/USDT.; "
        "ETH/USDT 15m: O disco que guarda /data está cheio; o que já estava guardado não sofreu nada.; "
        "SOL/USDT 15m: ValueError: a: b; c"
    )
    assert portuguese(of_error(gone)) == "Não existe ativo com o nome 'X/Y'. Existem: BTC/USDT."
    assert isinstance(gone, NotFoundError)


def test_what_watching_found_is_told_with_its_bounds() -> None:
    drifted = because(
        said("drifted", name="m.15m"),
        [said("bounds", figure="lost skill", value="0.300", low="…", high="0.100"),
         said("bounds", figure="calibration", value="-0.081", low="-0.050", high="0.050")],
    )  # fmt: skip
    grown = because(said("grown", name="n.1h"), [said("grown_by", part="12%")])
    assert portuguese(said("watched", models=2) + drifted + grown) == (
        "2 modelos vigiados; desvio em m.15m: habilidade perdida em 0,300, fora de … a 0,100; "
        "calibração em -0,081, fora de -0,050 a 0,050; mais dados para n.1h: os dados cresceram 12%"
    )


def test_what_nobody_knows_is_told_as_it_is() -> None:
    new = "Something of Prefect's own: it is new; really"
    assert portuguese(new) == new
    assert portuguese("") == ""
