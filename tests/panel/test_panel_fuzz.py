"""Every route of the API under whatever a schema allows, and what it does not, against a running panel: never a 5xx.

Each answer must be one that the OpenAPI document names, in the shape that it names. Prefect and MLflow's server are
away, which is a 503 where they are needed. ``PREGAO_LONG=1`` asks some fifty times as much.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from pregao_ui import access

load_all_checks()
STREAM = r"/events$"
TEST = r"/notifications/test$"
LONG = bool(os.environ.get("PREGAO_LONG"))
EXAMPLES = 200 if LONG else 3
PHASES = [hypothesis.Phase.explicit, hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if LONG else [])]
HELD_TO = CHECKS.get_by_names([
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
])  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(panel: Any) -> Iterator[Any]:
    """The panel with a password, so that what is refused without a token is seen, too; and its API's document."""
    os.environ["PREGAO_HOME"] = str(panel.home)
    access.set_password("fuzzing does not know this")
    token = access.make_token("fuzz")
    panel.token = {"Authorization": f"Bearer {token}"}
    played = panel.session(feed={"speed": 0, "end": 1_700_000_040_000_000_000 + 60 * 60_000_000_000})
    panel.play(played)
    panel.played = played
    document = schemathesis.openapi.from_url(f"{panel.address}/api/openapi.json", headers=panel.token)
    yield document.exclude(path_regex=STREAM).exclude(path_regex=TEST)
    access.revoke_token("fuzz")
    access.remove_password()


@pytest.mark.timeout(3_000)
def test_no_request_breaks_the_panel(panel: Any, fuzzed: Any) -> None:
    broken: dict[str, str] = {}
    for found in fuzzed.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            try:
                known = mode is GenerationMode.POSITIVE  # what is wrong stays wrong
                _attack(panel, operation.as_strategy(generation_mode=mode), known)
            except (Exception, FailureGroup) as error:
                broken[f"{operation.label}, {mode.value} data"] = _told(error)
    assert broken == {}, "\n\n".join(f"{where}\n{why}" for where, why in broken.items())


def _attack(panel: Any, cases: Any, may_be_known: bool) -> None:
    @hypothesis.given(case=cases, known=st.booleans())
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=not LONG, database=None, phases=PHASES,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    def attack(case: Any, known: bool) -> None:
        if may_be_known and known and "session_id" in (case.path_parameters or {}):
            case.path_parameters["session_id"] = panel.played  # one that there is
        answer = case.call(headers=panel.token, timeout=240)
        away = answer.status_code == 503 and answer.json()["message"].startswith("The Prefect server does not answer")
        assert answer.status_code < 500 or away, answer.text
        case.validate_response(answer, checks=HELD_TO, headers=panel.token)

    try:
        attack()
    except hypothesis.errors.Unsatisfiable:  # the operation takes nothing that could be wrong
        return


def _told(error: BaseException) -> str:
    """What was found, and the request that shows it."""
    lines = str(error).splitlines()
    for inner in getattr(error, "exceptions", ()):
        lines += _told(inner).splitlines()
    return "\n".join(dict.fromkeys(line.strip() for line in lines if line.strip()))
