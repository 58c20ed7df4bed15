"""What notifications say: rows of a session's journal as sentences, in English or Portuguese."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pregao.core.instrument import Instrument
from pregao.sessions.notify.targets import Language, Topic
from pregao.sessions.records import SessionRow
from pregao.sessions.views import View, broker_of, money_of

LINES = 12
"""Sentences in one message at most; of more, the first and the last are told, and how many are left out."""
TOPIC_OF: dict[str, Topic] = {
    "fill": "fills", "stopped": "stops", "finished": "stops", "error": "stops", "paused": "pauses",
    "risk": "pauses", "proposal": "proposals",
}  # fmt: skip
"""The kinds of rows that are told, and what they are about."""

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Pregão: {symbol}, {money}",
        "simulated": "simulated money", "sandbox": "orders go to {broker}", "real": "real money at {broker}",
        "buy": "Bought", "sell": "Sold",
        "take_profit": "take profit", "stop_loss": "stop loss", "exit": "exit", "entry": "entry", "": "order",
        "fill": "{did} {qty} at {price} ({role}), fee {fee} {quote}",
        "stopped": "Stopped: P&L {pnl} {quote} after {trades} trades",
        "finished": "Finished: P&L {pnl} {quote} after {trades} trades",
        "error": "Failed in {where}: {message}",
        "paused": "Paused by {by}",
        "risk": "Limit reached: {rule}, {reached} of at most {limit}",
        "proposal": "Waits for you: proposal {id} to go {side}, {bars} bars left",
        "more": "… and {count} more",
        "test_title": "Pregão: a test",
        "test": "Notifications reach this place.",
        "promotion_title": "Pregão: a new champion",
        "promotion": "{name}: version {version} trades from now on, promoted by {by}.",
        "gate": "the gate", "person": "a person",
    },
    "pt-BR": {
        "title": "Pregão: {symbol}, {money}",
        "simulated": "dinheiro simulado", "sandbox": "ordens vão para {broker}", "real": "dinheiro real em {broker}",
        "buy": "Compra de", "sell": "Venda de",
        "take_profit": "alvo", "stop_loss": "stop", "exit": "saída", "entry": "entrada", "": "ordem",
        "fill": "{did} {qty} a {price} ({role}), taxa {fee} {quote}",
        "stopped": "Encerrada: resultado {pnl} {quote} em {trades} operações",
        "finished": "Terminada: resultado {pnl} {quote} em {trades} operações",
        "error": "Falhou em {where}: {message}",
        "paused": "Pausada por {by}",
        "risk": "Limite atingido: {rule}, {reached} de no máximo {limit}",
        "proposal": "Espera por você: proposta {id} ({side}), restam {bars} barras",
        "more": "… e mais {count}",
        "test_title": "Pregão: um teste",
        "test": "As notificações chegam aqui.",
        "promotion_title": "Pregão: novo campeão",
        "promotion": "{name}: a versão {version} opera a partir de agora, promovida por {by}.",
        "gate": "o portão", "person": "uma pessoa",
    },
}  # fmt: skip


_FIGURES = {"fee": "{:,.2f}", "pnl": "{:+,.2f}", "reached": "{:.2%}", "limit": "{:.2%}"}
_SWAPPED = str.maketrans(",.", ".,")
"""As Portuguese writes the figures of English."""


class Message(NamedTuple):
    """A title and what is said."""

    title: str
    body: str


def of_session(
    session: SessionRow, rows: Sequence[View], topics: Sequence[Topic], language: Language
) -> Message | None:
    """One message on what a session lived through; None if nothing of it is asked for."""
    words = _WORDS[language]
    told = [
        _sentence(row, session.instruments, language)
        for row in rows
        if TOPIC_OF.get(row["k"]) in topics and (row["k"] != "proposal" or row["state"] == "open")
    ]
    if not told:
        return None
    if len(told) > LINES:
        left_out = words["more"].format(count=len(told) - LINES)
        told = [*told[: LINES // 2], left_out, *told[-LINES // 2 :]]
    money = words[money_of(session.spec)].format(broker=broker_of(session.spec))
    title = words["title"].format(symbol=session.market, money=money)
    return Message(title, "\n".join([*told, f"({session.id})"]))


def of_promotion(name: str, version: str, by: str, language: Language) -> Message:
    """A message on a new champion."""
    words = _WORDS[language]
    return Message(
        words["promotion_title"], words["promotion"].format(name=name, version=version, by=words.get(by, by))
    )


def test(language: Language) -> Message:
    """A message to try a target with."""
    return Message(_WORDS[language]["test_title"], _WORDS[language]["test"])


def _sentence(row: View, instruments: Sequence[Instrument], language: Language) -> str:
    words, instrument = _WORDS[language], instruments[row.get("b", 0)]
    figures: dict[str, str] = {}
    if row["k"] == "fill":
        figures = {"qty": instrument.quantity_text(row["qty"]), "price": instrument.price_text(row["price"])}
    figures |= {name: form.format(row[name]) for name, form in _FIGURES.items() if name in row}
    if language == "pt-BR":
        figures = {name: shown.translate(_SWAPPED) for name, shown in figures.items()}
    more = {"quote": instrument.quote}
    if row["k"] == "fill":
        more |= {"did": words["buy" if row["side"] > 0 else "sell"], "role": words[row["role"]]}
    whose = f"{row['symbol']}: " if "symbol" in row else ""
    return whose + words[row["k"]].format(**{**row, **figures, **more})
