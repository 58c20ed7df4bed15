"""What is told in clauses, our own strategies' decisions and what became of data, is told in Portuguese, all of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from policies import drawn, of_bias, waves

from pregao.features.conformance import market
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.contract import Wait
from pregao.strategies.registry import configured
from pregao_catboost_ai.strategy import CatBoostAI, CatBoostAIConfig
from pregao_ensemble.weights import weigh
from pregao_rl.strategy import PolicyStrategy, PolicyStrategyConfig

pytestmark = pytest.mark.browser
PLUGINS = Path(__file__).parents[2] / "plugins"
MARKET = Path(__file__).parents[2] / "platform" / "pregao" / "market"
OF_COMMANDS = {"training.py", "keeping.py", "judging.py", "overfitting.py", "command.py", "environment.py",
               "policy.py", "following.py", "chance.py"}  # fmt: skip
"""Modules of the reinforcement learning that no decision comes from: they train and keep."""
CLASSICS = ("buy-and-hold", "ma-cross", "rsi-reversion", "donchian-breakout", "grid")
EAGER = {"window": 30, "every": 5, "confidence": 50.0, "quorum": 30.0}


class Model:
    """A model whose chance a test sets, bar after bar."""

    name, version = "test", "1"
    meta: ClassVar = {"threshold": 0.002, "payoff": {"win": 0.02, "loss": -0.01}, "feature_set": "core25"}

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)

    def probability(self, features: Any) -> float:
        return float(self.rng.uniform())

    def reasons(self, features: Any, top: int = 3) -> tuple[Any, ...]:
        return ()


class Heard:
    """A strategy whose reasons are written down."""

    def __init__(self, strategy: Any) -> None:
        self.strategy, self.reasons = strategy, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.strategy, name)

    def on_bar(self, ctx: Any, bar: Any) -> tuple[Any, ...]:
        intents = tuple(self.strategy.on_bar(ctx, bar))
        self.reasons |= {intent.reason for intent in intents if not isinstance(intent, Wait)}
        return intents


def _decided(make: Callable[[], Any], bars: Any, model: Any = None) -> set[str]:
    """As a session asks it, bar by bar, and as a backtest does, which gives it fills to come back from."""
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=3, stop_loss=3)
    asked, tested = Heard(make()), Heard(make())
    desk = desk_for(plan, asked, 0, model)
    for i in range(len(bars)):
        desk.on_bar(bars.bar(i))
    backtest(tested, bars, plan, model=model)
    return asked.reasons | tested.reasons


def _policy(leaning: list[float] | None) -> PolicyStrategy:
    strategy = PolicyStrategy(PolicyStrategyConfig())
    strategy.policy = of_bias(leaning) if leaning else drawn(5)
    return strategy


@pytest.fixture(scope="module")
def said() -> set[str]:
    """What every strategy of ours says over markets that move it, with each way of its settings."""
    calm, wavy = market(1_200), waves(1_200)
    classics = "; ".join(CLASSICS)
    found = {
        reason
        for bars in (calm, wavy)
        for make in (
            *(partial(configured, name, {}) for name in (*CLASSICS, "rl-policy")),
            partial(configured, "ensemble", EAGER | {"members": classics}),
            partial(configured, "ensemble", EAGER | {"members": classics, "confidence": 99.99, "window": 240}),
            *(partial(_policy, leaning) for leaning in (None, [0.0, 0.0, 1.0], [0.0, 1.0, 0.0])),
        )
        for reason in _decided(make, bars)
    }
    found |= _decided(lambda: CatBoostAI(CatBoostAIConfig()), calm, Model())
    flat = np.r_[np.zeros(59), np.nan]
    found |= {f"it stays out, 95% asked: ma-cross {one.why_not}" for one in weigh([flat, np.zeros(60)], 60, 0.95)}
    return found


def _fragments(path: Path) -> Iterator[str]:
    """The words in a module that a decision may be told with: no documentation, no error, no setting."""
    tree = ast.parse(path.read_text())
    aside = [node for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Expr)]
    aside += [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "Field"]
    inside = {id(part) for node in aside for part in ast.walk(node)}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if id(node) not in inside and isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.strip(" ;:,()%+")
                if re.search(r"[a-z]{2,} [a-z]{2,}", words):
                    yield words


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_all_that_our_own_strategies_say_is_told_in_portuguese(said: set[str], panel: Any, visit: Any) -> None:
    fragments = {
        words for path in PLUGINS.glob("*/src/*/*.py") if path.name not in OF_COMMANDS for words in _fragments(path)
    }
    assert len(fragments) > 12
    assert [words for words in fragments if not any(words in one for one in said)] == []
    page = visit(locale="pt-BR").open("/settings")
    page.wait_for_function("() => Boolean(window.Pregao?.told)")
    told = page.evaluate("all => all.map(Pregao.told)", sorted(said))
    english = re.compile(r"\b(the|is|of|bars?|vote|out|asked|sure|seen|never|traded|expected|leans|weights|market)\b")
    assert [one for one in told if english.search(one) or any(words in one for words in fragments)] == []


def _rows_said(path: Path) -> Iterator[str]:
    """What a module says of a row that it does not like: ``1`` for a tick size or a lot size, ``close`` for a field."""
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        said = "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str)
            else "" if not isinstance(part, ast.FormattedValue) else "1" if "size" in ast.unparse(part) else "close"
            for part in parts
        )  # fmt: skip
        if re.match(r"(has|is|begins|differs) \w+", said) and "{" not in said:
            yield said


def test_what_is_wrong_with_a_row_and_what_a_version_did_is_told_in_portuguese(panel: Any, visit: Any) -> None:
    whole = {said for name in ("sift", "judge") for said in _rows_said(MARKET / f"{name}.py")}
    said = [one for one in sorted(whole) if not any(one != other and other.startswith(one) for other in whole)]
    assert len(said) > 15
    page = visit(locale="pt-BR").open("/settings")
    page.wait_for_function("() => Boolean(window.Pregao?.told)")
    told = page.evaluate("all => all.map(Pregao.told)", said)
    assert [one for one in told if re.search(r"\b(has|is|begins|differs|the|row|than|but)\b", one)] == []
    recorded = "Ingest from ccxt, sample: BTC/USDT 15m +1,000, SPX 1d 3 replaced and 1 action; "
    recorded += "of an interrupted ingest: x/y/Z 1h"
    assert page.evaluate("Pregao.told", recorded) == (
        "Trazido de ccxt, sample: BTC/USDT 15m +1.000, SPX 1d 3 substituídas e 1 evento; "
        "de uma ingestão interrompida: x/y/Z 1h"
    )


def _notes() -> Iterator[str]:
    """What watching a model may note beside its findings, ``7`` for each figure."""
    path = MARKET.parent / "learning" / "watching.py"
    functions = {one.name: one for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)}
    for statement in (
        one for name in ("watch", "_short") for one in functions[name].body[1:]
    ):  # after what it documents
        inside = {id(part) for node in ast.walk(statement) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(statement):
            if isinstance(node, ast.JoinedStr):
                said = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
                if " " in said:  # no format of a figure
                    yield said.removesuffix("; 7")
            elif isinstance(node, ast.Constant) and " " in str(node.value) and id(node) not in inside:
                yield str(node.value)


def test_what_watching_a_model_notes_is_told_in_portuguese(panel: Any, visit: Any) -> None:
    notes = list(_notes())
    assert len(notes) == 6
    page = visit(locale="pt-BR").open("/settings")
    page.wait_for_function("() => Boolean(window.Pregao?.told)")
    told = page.evaluate("all => all.map(Pregao.told)", notes)
    assert [one for one in told if re.search(r"\b(the|there|is|it|of|and|seen|only|more|since|showed)\b", one)] == []


@pytest.mark.parametrize(
    ("english", "portuguese"),
    [
        (
            "the vote is +67%; weights: ma-cross fast=5 slow=20 60% (97.1% sure), grid 40% (96.0% sure)",
            "o voto é de +67%; pesos: ma-cross fast=5 slow=20 60% (97,1% de certeza), grid 40% (96,0% de certeza)",
        ),
        (
            "it stays out, 99.5% asked: ma-cross fast=5 12 of 240 bars seen, grid never traded, rsi-reversion 45% sure",
            "fica de fora, exige 99,5%: ma-cross fast=5 viu 12 de 240 barras, grid nunca operou, "
            "rsi-reversion 45% de certeza",
        ),
        (
            "expected value -0.18%, asked for 0.20%; in the market already",
            "valor esperado -0,18%, exigido 0,20%; já está no mercado",
        ),
        ("what a stranger's strategy says: anything, really", "what a stranger's strategy says: anything, really"),
    ],
)
def test_votes_are_told_with_their_figures(panel: Any, visit: Any, english: str, portuguese: str) -> None:
    page = visit(locale="pt-BR").open("/settings")
    page.wait_for_function("() => Boolean(window.Pregao?.told)")
    assert page.evaluate("Pregao.told", english) == portuguese
