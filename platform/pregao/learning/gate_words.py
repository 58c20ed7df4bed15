"""The gate's reasons in words, in each language: the one place where a figure becomes a sentence.

A reason carries a code and its figures (`pregao.learning.gate.Reason`); `told` makes the sentence and the advice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pregao.core.errors import unknown

LANGUAGES = ("en", "pt-BR")
_MUST = {
    "over": ("must be over {}", "precisa passar de {}"), "under": ("must be under {}", "precisa ficar abaixo de {}"),
    "at least": ("must be at least {}", "precisa ser no mínimo {}"),
    "at most": ("must be at most {}", "pode ser no máximo {}"),
}  # fmt: skip
_UNKNOWN = ("unknown", "desconhecido")
FORMS = {
    "value": 2, "limit": 2, "sharpe": 2, "held": 2, "tried": 0, "splits": 0, "bars": 0, "champion_sharpe": 2,
}  # fmt: skip
"""Decimals of the figures that are not per cent."""
_DECIMALS = {("deflated_sharpe", "value"): 3, ("random_entries", "value"): 3, ("champion", "value"): 3,
             ("trades", "value"): 0, ("trades", "limit"): 0}  # fmt: skip
_PERCENT = {"overfitting", "costs", "doubled_costs", "drawdown", "calibration", "skill"}
"""Reasons whose figure and cut are fractions, told in per cent."""

TEXTS: dict[str, tuple[str, str]] = {
    "deflated_sharpe": (
        "Deflated Sharpe ratio {value} (Sharpe ratio {sharpe}, {tried} tried)",
        "Índice de Sharpe deflacionado {value} (Sharpe {sharpe}, tentativas: {tried})",
    ),
    "overfitting": (
        "Probability of backtest overfitting {value} of {splits} combinations",
        "Probabilidade de sobreajuste {value} em {splits} combinações",
    ),
    "overfitting.none": (
        "Probability of backtest overfitting not computed, since the model had failed already",
        "Probabilidade de sobreajuste não calculada, pois o modelo já havia sido reprovado",
    ),
    "champion": (
        "Sharpe ratio {sharpe} against {champion_sharpe} of champion {champion} on {bars} bars that neither has seen; "
        "chance of that by luck {value}",
        "Índice de Sharpe {sharpe} contra {champion_sharpe} do campeão {champion} em {bars} barras que nenhum dos dois "
        "viu; chance de ser sorte {value}",
    ),
    "champion.none": ("There is no champion yet to be better than", "Ainda não há campeão a superar"),
    "champion.same": ("It is the champion itself, version {champion}", "É o próprio campeão, versão {champion}"),
    "champion.few": (
        "Only {bars} bars that neither it nor champion {champion} has seen: too few to compare",
        "Só {bars} barras que nem ele nem o campeão {champion} viram: poucas para comparar",
    ),
    "champion.unusable": (
        "Champion {champion} cannot be used any more, so there is nothing to beat: {why}",
        "O campeão {champion} não pode mais ser usado, então não há o que superar: {why}",
    ),
    "random_entries": (
        "Random entries with the same brackets do as well with a chance of {value}",
        "Entradas ao acaso com as mesmas saídas vão tão bem com chance de {value}",
    ),
    "buy_and_hold": (
        "Sharpe ratio {value} against {held} of buy and hold",
        "Índice de Sharpe {value} contra {held} de comprar e segurar",
    ),
    "costs": ("Net return {value}, costs paid", "Retorno líquido {value}, custos pagos"),
    "doubled_costs": ("Net return {value} at doubled costs", "Retorno líquido {value} com custos em dobro"),
    "drawdown": ("Largest drawdown {value}", "Maior queda {value}"),
    "trades": ("{value} trades", "{value} operações"),
    "calibration": (
        "Predicted chances are off by {value} on average", "As chances previstas erram {value} em média",
    ),
    "skill": (
        "Skill {value}, by log loss against the base rate",
        "Habilidade {value}, pela perda logarítmica contra a taxa base",
    ),
}  # fmt: skip
ADVICE: dict[str, tuple[str, str]] = {
    "deflated_sharpe": (
        "The gains are too small, too wild or over too short a time to tell them from luck. More history, or a bracket "
        "that suits the market better, can settle it; trying more settings raises what is asked.",
        "Os ganhos são pequenos demais, instáveis demais ou de um período curto demais para distingui-los da sorte. "
        "Mais histórico, ou saídas que combinem melhor com o mercado, podem resolver; tentar mais ajustes aumenta o "
        "que se exige.",
    ),
    "overfitting": (
        "Trained on other parts of the history, the same way of learning loses too often on the rest. Fewer or simpler "
        "features, shallower trees or more history make it steadier.",
        "Treinado em outras partes do histórico, o mesmo jeito de aprender perde no resto com frequência demais. "
        "Menos variáveis ou mais simples, árvores mais rasas ou mais histórico o tornam mais estável.",
    ),
    "champion": (
        "It is not clearly better than the champion on bars that neither has learnt from, so the champion stays; let "
        "it run in shadow and compare again on more bars.",
        "Não é claramente melhor que o campeão em barras com que nenhum dos dois aprendeu, então o campeão fica; "
        "deixe-o operar na sombra e compare de novo com mais barras.",
    ),
    "champion.few": (
        "Wait for more bars, or hold out more of them (params.yaml: holdout).",
        "Espere mais barras, ou reserve mais delas (params.yaml: holdout).",
    ),
    "random_entries": (
        "Entering at random, as often and with the same exits, does about as well: what was earned came from the exits "
        "or the market, not from when the model enters.",
        "Entrar ao acaso, com a mesma frequência e as mesmas saídas, rende quase o mesmo: o ganho veio das saídas ou "
        "do mercado, não de quando o modelo entra.",
    ),
    "buy_and_hold": (
        "For the risk taken, holding would have brought as much. In a market that only rose this is hard to beat.",
        "Pelo risco assumido, segurar teria rendido o mesmo. Num mercado que só subiu, isso é difícil de superar.",
    ),
    "costs": (
        "After fees and slippage nothing is left. Wider exits trade less often and pay less.",
        "Depois das taxas e do deslizamento não sobra nada. Saídas mais largas operam menos e pagam menos.",
    ),
    "doubled_costs": (
        "The gain would not survive worse fills or fees. Wider exits, or a venue with lower fees, leave more room.",
        "O ganho não resistiria a execuções ou taxas piores. Saídas mais largas, ou uma corretora com taxas menores, "
        "deixam mais folga.",
    ),
    "drawdown": (
        "It lost too much on the way. A smaller entry value lowers it in proportion.",
        "Perdeu demais no caminho. Um valor de entrada menor reduz isso na mesma proporção.",
    ),
    "trades": (
        "Too few trades to judge. More history, a shorter timeframe or nearer exits make more of them.",
        "Poucas operações para julgar. Mais histórico, um período menor ou saídas mais próximas geram mais delas.",
    ),
    "calibration": (
        "The chances that the model names do not come true as often as it says, so neither does the expected value by "
        "which it decides. More history, or stronger regularisation, helps.",
        "As chances que o modelo diz não se confirmam com a frequência dita, e portanto nem o valor esperado pelo qual "
        "ele decide. Mais histórico, ou regularização mais forte, ajuda.",
    ),
    "skill": (
        "Always naming the average chance would have predicted better. There may be nothing to learn here.",
        "Dizer sempre a chance média teria previsto melhor. Talvez não haja nada a aprender aqui.",
    ),
}


def told(reason: Mapping[str, Any], language: str = "en") -> tuple[str, str]:
    """The sentence of a reason, with its figure and its cut, and what could be done; the advice is empty if it passed.

    Args:
        reason: `pregao.learning.gate.Reason` as JSON. One of an older Pregão, without a code and figures, is told by
            the English text that it carries.

    Raises:
        NotFoundError: for a language that is not there.
    """
    if language not in LANGUAGES:
        raise unknown("language", language, list(LANGUAGES))
    place = LANGUAGES.index(language)
    code = reason.get("code", "")
    if code not in TEXTS:
        return str(reason.get("text", "")), str(reason.get("advice", ""))
    name = reason["name"]
    figures = {"value": reason["value"], "limit": reason["limit"], **reason["figures"]}
    shown = {key: _shown(name, key, value, place) for key, value in figures.items()}
    text = TEXTS[code][place].format(**shown)
    if reason.get("must"):
        text += "; " + _MUST[reason["must"]][place].format(shown["limit"])
    return text, "" if reason["passed"] else ADVICE.get(code, ADVICE.get(name, ("", "")))[place]


def forms(language: str) -> dict[str, str]:
    """What each English sentence of the gate is in a language, with the same blanks; what must be, apart."""
    place = LANGUAGES.index(language)
    must = [tuple(text.format("{limit}") for text in pair) for pair in _MUST.values()]
    return {pair[0]: pair[place] for pair in [*TEXTS.values(), *must]}


def _shown(name: str, key: str, value: Any, place: int) -> str:
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return _UNKNOWN[place]
    if name in _PERCENT and key in ("value", "limit"):
        text = f"{value:.2%}"
    else:
        text = f"{value:.{_DECIMALS.get((name, key), FORMS.get(key, 2))}f}"
    return text.replace(".", ",") if LANGUAGES[place] == "pt-BR" else text
