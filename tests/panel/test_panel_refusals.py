"""What the platform refuses is told in Portuguese, too: its own sentences, as it raises them."""

from __future__ import annotations

import ast
import builtins
import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from pregao.sessions.spec import SessionSpec
from pregao_ui import schemas
from pregao_ui.refusals import known, refusal
from pregao_ui.texts import LANGUAGES
from pregao_ui.ticket import field_errors

ROOT = Path(__file__).parents[2]
BLANK = re.compile(r"\{(\w+)\}")


def test_every_sentence_is_one_that_the_product_says_and_has_the_same_blanks() -> None:
    paths = [path for part in ("platform", "flows", "ui", "plugins") for path in (ROOT / part).rglob("*.py")]
    said = "".join(path.read_text() for path in paths)
    said = re.sub(r'"\s*\n\s*f?"', "", said)  # a sentence that is written over two lines
    said = said.casefold()
    _, sentences = known("pt-BR")
    assert len(sentences) > 60
    for english, portuguese in sentences.items():
        assert set(BLANK.findall(english)) == set(BLANK.findall(portuguese)), english
        for part in BLANK.sub("\n", english).split("\n"):
            assert part.strip(" .").casefold() in said, (english, part)


MET = (
    "core/bars.py", "core/timeframe.py", "keys.py", "private.py", "settings.py", "pregao/learning/", "pregao/market/",
    "sessions/as_backtest.py", "sessions/assembly.py", "sessions/control.py", "sessions/course.py",
    "sessions/database.py", "sessions/export.py", "sessions/following.py", "sessions/journal.py",
    "sessions/lineage.py", "sessions/notify/targets.py", "sessions/problems.py", "sessions/runtime.py",
    "sessions/writer.py",
    "simulation/plan.py", "strategies/answers.py", "strategies/registry.py", "strategies/sweeping/local.py",
    "pregao_flows/", "pregao_ui/services", "pregao_ui/api",
)  # fmt: skip
"""Modules whose refusals the panel may show: those of a start, a command, a run, a proof, a page's question."""
UNMET = ("learning/calibration/", "learning/inference/")
"""Of an experiment at the command line, and of a model file that is read wrongly by its own tests."""


def _said(node: ast.expr) -> str:
    """A sentence as the code has it, ``1`` in each blank; empty for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    return ""


def _refusals(path: Path) -> Iterator[str]:
    """Each sentence of the errors that a module raises; a part of a sentence begins with a small letter."""
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.id if isinstance(called, ast.Name) else ""
        if isinstance(node, ast.Call) and name.endswith("Error") and not hasattr(builtins, name):
            for said in map(_said, node.args):
                for sentence in re.split(r"(?<=[.!?]) (?=[A-Z`])", said):
                    if len(re.findall(r"[a-zA-Z]{2,}", sentence)) > 1 and not sentence[:1].islower():
                        yield sentence


def test_whatever_the_panel_may_show_of_the_platforms_refusals_is_known_in_portuguese() -> None:
    walked = [path for part in ("platform/pregao", "flows", "ui") for path in sorted((ROOT / part).rglob("*.py"))]
    met = [path for path in walked if any(f"/{one}" in path.as_posix() for one in MET)]
    met = [path for path in met if not any(f"/{one}" in path.as_posix() for one in UNMET)]
    assert len({one for one in MET for path in met if f"/{one}" in path.as_posix()}) == len(MET)
    sentences = [(path.name, sentence) for path in met for sentence in _refusals(path)]
    assert len(sentences) > 350
    alike = {"Use sqlite:///FILE."}  # in both languages

    def known_(one: str) -> bool:
        """Also if what stands first in it is a sentence by itself."""
        return any(refusal("pt-BR", said) != said for said in (one, one.lstrip("1 :")))

    assert [(name, one) for name, one in sentences if not known_(one) and one not in alike] == []


def test_whatever_may_be_unknown_has_a_name_in_portuguese() -> None:
    kinds = set()
    for part in ("platform", "flows", "ui"):
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if isinstance(node, ast.Call) and name == "unknown" and isinstance(node.args[0], ast.Constant):
                    kinds.add(str(node.args[0].value))
                if isinstance(node, ast.Call) and name == "pick":  # of the symbols that a source offers
                    kinds.add(f"{_said(node.args[2])} symbol")
    assert len(kinds) > 20
    assert kinds - known("pt-BR")[0].keys() == set()


WRONG: tuple[Any, ...] = (
    None, "", "\x00", "x" * 100_001, "nan", -1, 1.5, 1e30, 10**30, True, [], [[]], ["x"] * 1_000, {}, {"x": 1},
    {"kind": "x"}, b"\xff",
)  # fmt: skip


def _bodies() -> list[type[BaseModel]]:
    """What is posted to the API, and what it answers with: models of all values."""
    names = [f"pregao_ui.schemas.{each.name}" for each in pkgutil.iter_modules(schemas.__path__)]
    every = [value for name in names for value in vars(importlib.import_module(name)).values()]
    own = {one for one in every if isinstance(one, type) and issubclass(one, BaseModel) and one.__module__ in names}
    return [SessionSpec, *sorted(own, key=lambda one: one.__name__)]


def _wrong(body: type[BaseModel], values: dict[str, Any]) -> list[Any]:
    try:
        body.model_validate(values)
    except ValidationError as error:
        return list(error.errors())
    return []


class _Dated(BaseModel):
    """A plugin's settings may have bounds that are no numbers."""

    day: date = Field(ge=date(2024, 1, 1))


def test_a_bound_that_is_no_number_is_told_as_it_is() -> None:
    (error,) = _wrong(_Dated, {"day": "2023-12-31"})
    assert field_errors([error], "pt-BR") == {"day": "Deve ser pelo menos 2024-01-01."}


def test_a_value_of_any_wrong_kind_is_told_in_the_persons_language() -> None:
    met = set()
    for body in _bodies():
        for field, value in itertools.product(body.model_fields, WRONG):
            for error in _wrong(body, {field: value, "no_such_field": 1}):
                met.add(error["type"])
                english, portuguese = (field_errors([error], language) for language in LANGUAGES)
                assert english.keys() == portuguese.keys()
                assert all(english[name] != portuguese[name] for name in english), (body, error)
                assert not any(" or '" in said for said in portuguese.values())
    assert len(met) > 25


@pytest.mark.parametrize(
    ("english", "portuguese"),
    [
        (
            "There is no session named 'gone'. Known: a-1, b-2, …. Start one with `pregao trade start`.",
            "Não existe sessão com o nome 'gone'. Existem: a-1, b-2, …. Inicie uma com `pregao trade start`.",
        ),
        (
            "Session btc-7f3a has ended (stopped), so it takes no pause.",
            "A sessão btc-7f3a já acabou (encerrada) e não aceita mais pausar.",
        ),
        (
            "The entry value 0.0001 buys less than the least quantity of BTC/USDT, 0.00001, worth 0.5 USDT at the "
            "start. Raise the entry value.",
            "O valor de entrada 0.0001 compra menos que a quantidade mínima de BTC/USDT, 0.00001, que vale 0.5 USDT "
            "no início. Aumente o valor de entrada.",
        ),
        (
            "Yahoo gave no answer to 'apple' after 3 attempts: it cannot be reached (Connection refused).",
            "O Yahoo não respondeu a 'apple' após 3 tentativas: não pode ser alcançado (conexão recusada).",
        ),
        (
            "The journal was damaged at row 7 (this bar was changed after it was written) and was cut there; 3 rows "
            "from 8 on are in the quarantine.",
            "O diário foi danificado na linha 7 (esta linha (bar) foi mudada depois de escrita) e cortado ali; 3 "
            "linhas a partir da 8 estão na quarentena.",
        ),
        ("prices.v2.csv has no column for 'close'.", "prices.v2.csv não tem coluna para 'close' (fechamento)."),
        ("Something new happened. Round it. And this.", "Something new happened. Arredonde-o. And this."),
        ("", ""),
        ("no full stop", "no full stop"),
    ],
)
def test_sentences_are_told_one_by_one_and_what_is_not_known_stays(english: str, portuguese: str) -> None:
    assert refusal("pt-BR", english) == portuguese
    assert refusal("en", english) == english


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/sessions/gone", None, "Não existe sessão com o nome 'gone'."),
        ("POST", "/sessions", {"strategy": "none-such"}, "Não existe estratégia com o nome 'none-such'."),
        ("POST", "/sessions", {"instrument": "a/b/C-D"}, "Não existe ativo com o nome 'a/b/C-D'."),
        ("POST", "/sessions", {"model": "m"}, "A estratégia 'ma-cross' não usa modelo."),
        ("POST", "/sessions", {"take_profit_price": 1e-8, "stop_loss_price": 1e-8}, "O preço do alvo"),
        (
            "POST",
            "/sessions",
            {"trailing": True, "stop_loss_price": 90},
            "Um stop móvel tem uma distância, não um preço.",
        ),
        ("POST", "/sessions", {"entry_value": 20, "cash": 10}, "O valor de entrada 20 é maior que o caixa 10."),
        ("POST", "/sessions", {"config": {"fast": 0}}, "config-fast: Deve ser pelo menos 2."),
        ("POST", "/sessions", {"config": {"fast": 9, "slow": 5}}, "config-fast: A média rápida deve ser mais curta"),
        ("POST", "/sessions", {"mode": "wild"}, "mode: Escolha: 'observe', 'approve' ou 'auto'."),
        ("POST", "/sessions/{session}/clone", {"cash": -1}, "Deve ser maior que 0."),
        ("POST", "/sessions/{session}/clone", {"feed": {"speed": "x"}}, "feed-speed: Digite um número."),
        ("POST", "/data/uploads?file=prices.pdf&symbol=A/B", None, "prices.pdf não é uma tabela."),
    ],
)
def test_the_api_refuses_in_the_language_of_who_asks(
    panel: Any, method: str, path: str, body: dict[str, Any] | None, said: str
) -> None:
    session = panel.session()
    if body is not None and "{session}" not in path:
        body = panel.journal.session(session).spec.model_dump(mode="json") | body
    answer = panel.http.request(
        method, f"/api/v1{path.format(session=session)}", json=body, headers={"Accept-Language": "pt-BR"}
    )
    assert answer.status_code in (404, 422)
    told = answer.json()
    assert said in " ".join([told["message"], *told["fields"].values()])
