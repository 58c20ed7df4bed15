"""What the platform refuses is told in Portuguese, too: its own sentences, as it raises them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pregao_ui.refusals import known, refusal

ROOT = Path(__file__).parents[2]
BLANK = re.compile(r"\{(\w+)\}")


def test_every_sentence_is_one_that_the_product_says_and_has_the_same_blanks() -> None:
    paths = [path for part in ("platform", "flows", "ui") for path in (ROOT / part).rglob("*.py")]
    said = "".join(path.read_text() for path in paths)
    said = re.sub(r'"\s*\n\s*f?"', "", said)  # a sentence that is written over two lines
    said = said.casefold()
    _, sentences = known("pt-BR")
    assert len(sentences) > 60
    for english, portuguese in sentences.items():
        assert set(BLANK.findall(english)) == set(BLANK.findall(portuguese)), english
        for part in BLANK.sub("\n", english).split("\n"):
            assert part.strip(" .").casefold() in said, (english, part)


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
        ("POST", "/data/uploads?file=prices.pdf&symbol=A/B", None, "prices.pdf não é uma tabela."),
    ],
)
def test_the_api_refuses_in_the_language_of_who_asks(
    panel: Any, method: str, path: str, body: dict[str, Any] | None, said: str
) -> None:
    spec = panel.journal.session(panel.session()).spec.model_dump(mode="json")
    answer = panel.http.request(
        method, f"/api/v1{path}", json=None if body is None else spec | body, headers={"Accept-Language": "pt-BR"}
    )
    assert answer.status_code in (404, 422)
    told = answer.json()
    assert said in " ".join([told["message"], *told["fields"].values()])
