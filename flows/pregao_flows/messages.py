"""What a run of a flow says of itself, in each language: the one place where its figures become a sentence.

A run's state carries English, as Prefect's own pages do; `told` knows each sentence again by its form, so that whoever
shows it can say it in another language. Prefect is not imported here: the panel uses this, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pregao.core.errors import PregaoError
from pregao.core.retelling import Retelling, comma
from pregao.learning import gate_words

_GAP = "; |: "
_WITHIN = f"(?!{_GAP})."
_FAILED = ("; failed: ", "; falhou: ")
TEXTS: dict[str, tuple[str, str]] = {
    "nothing_to_ingest": (
        "Nothing to go on with: the store has no series of a source that can.",
        "Nada a continuar: não há série guardada cuja fonte permita.",
    ),
    "ingested": (
        "{source}: {added} new bars in {series} series, version {version}",
        "{source}: {added} barras novas em {series} séries, versão {version}",
    ),
    "no_model": (
        "No model is registered yet: name an instrument, and its first is trained.",
        "Nenhum modelo foi registrado ainda: indique um ativo, e o primeiro dele é treinado.",
    ),
    "passed": (
        "{model} version {version}: the gate passed it, so it is champion",
        "{model} versão {version}: passou pelo crivo, é a campeã agora",
    ),
    "refused": ("{model} version {version}: the gate refused it", "{model} versão {version}: o crivo a recusou"),
    "trained": ("{models} models trained, {promoted} promoted", "{models} modelos treinados, {promoted} promovidos"),
    "watched": ("{models} models watched", "{models} modelos vigiados"),
    "calm": ("nothing calls for anything", "nada pede atenção"),
    "drifted": ("pregao.drift {name}", "desvio em {name}"),
    "bounds": ("{figure} is {value}, outside {low} to {high}", "{figure} em {value}, fora de {low} a {high}"),
    "grown": ("pregao.grown {name}", "mais dados para {name}"),
    "grown_by": ("the data has grown by {part}", "os dados cresceram {part}"),
    "skewed": ("pregao.skew {session}", "diferença na sessão {session}"),
    "differing": ("{differing} of {compared} chances differ", "{differing} de {compared} chances não se repetem"),
    "elsewhere": (
        "Session {session} went on in another process.", "A sessão {session} continuou em outro processo.",
    ),
    "session_failed": (
        "Session {session} failed; its journal says why.", "A sessão {session} falhou; o diário dela diz por quê.",
    ),
    "session_ended": ("Session {session}: {status}.", "Sessão {session}: {status}."),
    "host_ended": ("Its sessions wait to be gone on with.", "As sessões dele esperam para ser continuadas."),
    "host_coming": (
        "A host is starting; it takes the sessions that nobody runs.",
        "Um hospedeiro está iniciando; ele assume as sessões que ninguém executa.",
    ),
    "all_attended": ("Started again: none", "Reiniciadas: nenhuma"),
    "started_again": ("Started again: {sessions}", "Reiniciadas: {sessions}"),
    "by_a_host": ("by a host", "por um hospedeiro"),
    "not_started": ("Could not be started again: {sessions}", "Não puderam ser reiniciadas: {sessions}"),
    "by_the_person": ("Cancelled by the person", "Cancelado pela pessoa"),
    "shutdown": ("Pregão is shutting down", "O Pregão está sendo encerrado"),
    "process_gone": ("The process that ran it is gone", "O processo que a executava se perdeu"),
}  # fmt: skip
PREFECT: dict[str, str] = {
    "Run failed.": "A execução falhou.",
    "Run crashed.": "A execução foi interrompida.",
    "Run cancelled.": "A execução foi cancelada.",
    "All states completed.": "Tudo terminou.",
    "{failed}/{all} states failed.": "{failed} de {all} etapas falharam.",
    "Execution was cancelled by the runtime environment.": "A execução foi cancelada pelo ambiente.",
    "Execution was aborted by an interrupt signal.": "A execução foi interrompida por um sinal.",
    "Execution was aborted by a termination signal.": "A execução foi encerrada por um sinal.",
    "Execution was aborted by Python system exit call.": "A execução saiu do Python.",
    "Flow run could not start: {why}": "A execução não pôde começar: {why}",
    "Flow run process could not be started:\n{why}": "O processo da execução não pôde ser iniciado: {why}",
    "Flow run failed due to timeout: {why}": "A execução passou do tempo: {why}",
    "Process exited with status code: {code}. {why}": "O processo saiu com o código {code}. {why}",
    "Validation of flow parameters failed with error:{why}": "Os parâmetros do fluxo foram recusados:{why}",
    "Submission failed. {why}": "A execução não pôde ser pedida. {why}",
    "The flow was paused and never resumed.": "O fluxo foi pausado e nunca retomado.",
    "The parent flow run was cancelled.": "A execução que a pediu foi cancelada.",
    "Deployment concurrency limit reached.": "Já há execuções demais deste fluxo.",
}
"""What Prefect itself says of a run."""
WORDS: dict[str, str] = {
    "stopped": "parada", "finished": "concluída", "running": "rodando", "paused": "em pausa", "created": "na fila",
    "failed": "falhou", "unknown": "desconhecido",
    "prediction": "previsões", "lost skill": "habilidade perdida", "ic": "correlação", "calibration":
    "calibração",
}  # fmt: skip
"""What may stand in a blank."""


@dataclass(frozen=True)
class Message:
    """What a run says; only `said` and what is made of its messages, so that every language knows it."""

    english: str

    def __str__(self) -> str:
        return self.english

    def __add__(self, other: Message) -> Message:
        return Message(f"{self.english}; {other.english}")


def said(kind: str, **figures: object) -> Message:
    """A message of `TEXTS` with its figures."""
    return Message(TEXTS[kind][0].format(**figures))


def because(message: Message, reasons: Iterable[Message]) -> Message:
    """The message with its reasons."""
    return Message(f"{message}: {'; '.join(map(str, reasons))}")


def of_gate(reason: Mapping[str, Any]) -> Message:
    """A reason of the gate, as of `pregao.learning.gate.Reason` as JSON."""
    return Message(gate_words.told(reason)[0])


def failing(message: Message, failed: Mapping[str, BaseException]) -> Message:
    """The message, and what failed beside."""
    return Message(f"{message}{_FAILED[0]}{failures(failed)}")


def of_error(error: PregaoError) -> Message:
    """What the platform says of what went wrong."""
    return Message(str(error))


def failures(failed: Mapping[str, BaseException]) -> str:
    """Each failure in one line."""
    return "; ".join(f"{label}: {sentence(error)}" for label, error in failed.items())


def sentence(error: BaseException) -> str:
    """An error for the person, on one line; one that nobody foresaw with its type."""
    words = " ".join(str(error).split())
    return words if isinstance(error, PregaoError) else f"{type(error).__name__}: {words}"


def told(message: str, language: str, refusal: Callable[[str], str]) -> str:
    """A run's message in a language; ``refusal`` tells the platform's own errors in it."""
    if language == "en":
        return message
    words, mark, failed = message.partition(_FAILED[0])
    if not _own().knows(words):
        return refusal(message)
    return _retelling(language)(words) + (_FAILED[1] + _failed(failed, refusal) if mark else "")


def _failed(failed: str, refusal: Callable[[str], str]) -> str:
    pairs = [one.partition(": ") for one in failed.replace(".; ", ".\n").split("\n")]
    return "; ".join(f"{label}{colon}{refusal(why)}" for label, colon, why in pairs)


def _blank(value: str) -> str:
    return WORDS.get(value, comma(value))


@cache
def _own() -> Retelling:
    return Retelling(dict(TEXTS.values()) | PREFECT, _GAP, _blank, within=_WITHIN)


@cache
def _retelling(language: str) -> Retelling:
    return Retelling(dict(TEXTS.values()) | PREFECT | gate_words.forms(language), _GAP, _blank, within=_WITHIN)
