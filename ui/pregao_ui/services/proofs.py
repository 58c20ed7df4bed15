"""What a session's record proves: audit, lineage, tear sheet, figures to compare, tables to take away.

All of it reads the whole journal, so one such question is answered at a time (and one audit, which takes longer), and
what was answered is kept until the session goes on.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao.settings import settings
from pregao_ui.schemas.proofs import AuditOut, ComparedOut, DuelOut, StepOut

KEPT = 32
POINTS = 400
"""Pixel columns of a curve that is compared."""
FIGURES = (
    "net_return", "annual_return", "sharpe", "sortino", "max_drawdown", "trades", "hit_rate", "profit_factor",
    "mean_trade", "exposure", "turnover", "fees",
)  # fmt: skip


class Proofs:
    """The record of the sessions of one database."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lock = threading.Lock()
        self._audits = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def audit(self, session_id: str) -> AuditOut:
        """Live through a session's journal again and compare every row; see `pregao.sessions.audit`."""

        def ask(row: SessionRow) -> AuditOut:
            begun = time.perf_counter()
            found = _audited(session_id)
            return AuditOut(
                identical=found["identical"],
                rows=found["rows"],
                bars=row.bars,
                digest=found["digest"],
                chain=found["chain"],
                cuts=found["cuts"],
                problem=found["problem"] or "",
                seconds=time.perf_counter() - begun,
            )

        return self._once("audit", session_id, ask)

    def lineage(self, session_id: str, seq: int | None) -> list[StepOut]:
        """Where the profit or loss at a row came from, by default at the last; see `pregao.sessions.lineage`."""

        def ask(_: SessionRow) -> list[StepOut]:
            from pregao.sessions.lineage import lineage

            steps = lineage(self.journal, session_id, seq)
            return [StepOut(what=s.what, seq=s.seq, facts=s.facts, note=s.note) for s in steps]  # type: ignore[arg-type]

        return self._once(f"lineage {seq}", session_id, ask)

    def shadow(self, session_id: str, language: str) -> DuelOut | None:
        """How a session's shadow does beside it, see `pregao.sessions.duel`; None if it has none."""

        def ask(row: SessionRow) -> DuelOut | None:
            from pregao.learning.gate_words import told
            from pregao.learning.params import read_params
            from pregao.sessions.duel import duel

            found = duel(self.journal, row.id, read_params(settings().home / "params.yaml").gate)
            if found is None:
                return None
            start_ns, reason = found.pop("start_ns"), found.pop("reason")
            sentence, advice = told(reason, language)
            start = None if start_ns is None else start_ns / 1e9
            return DuelOut(**found, start=start, better=reason["passed"], text=sentence, advice=advice)

        self.journal.session(session_id)
        made = self.journal.shadow_of(session_id)
        return self._once(f"shadow {language} {made.last_seq if made else 0}", session_id, ask)  # type: ignore[no-any-return]

    def tearsheet(self, session_id: str, language: str) -> str:
        """A session as a page, as a backtest is; beside it buying and holding over the same bars."""

        def ask(row: SessionRow) -> str:
            from pregao.reporting.gather import sheet_of
            from pregao.reporting.tearsheet import tearsheet
            from pregao.sessions.as_backtest import result_of
            from pregao.simulation.baselines import held_beside

            result = result_of(self.journal, session_id)
            first = self.journal.rows(session_id, 0, 1)[0].body
            sheet = sheet_of(
                result,
                row.spec.strategy,
                held=held_beside(result),
                data_version=str(first.get("data_version") or ""),
                model=row.models_text,
                settings=row.spec.config,
                command=f"pregao trade show {session_id}",
            )
            return tearsheet(sheet, language)

        return self._once(f"tearsheet {language}", session_id, ask)

    def compared(self, session_ids: list[str]) -> list[ComparedOut]:
        """Sessions side by side; one that cannot be told says why and leaves the others be."""
        return [self._once("compared", session_id, self._compared) for session_id in dict.fromkeys(session_ids)]

    def _compared(self, row: SessionRow) -> ComparedOut:
        from pregao.reporting.thinning import thin
        from pregao.sessions.course import course_of

        try:
            found = course_of(self.journal, row.id)
        except PregaoError as error:
            return ComparedOut(session=row.id, times=[], equity=[], figures={}, problem=str(error))
        share = 100 * found.equity / float(row.spec.cash)
        kept = thin(found.close_ns, share, POINTS)
        return ComparedOut(
            session=row.id,
            times=(found.close_ns[kept] / 1e9).tolist(),
            equity=share[kept].round(6).tolist(),
            figures={name: _finite(found.figures[name]) for name in FIGURES},
        )

    def export(self, session_id: str, form: str) -> Path:
        """All tables of a session in one ZIP file, which the caller removes with its folder."""
        from pregao.sessions.export import export

        folder = Path(tempfile.mkdtemp(prefix="pregao-export-"))
        try:
            with self._lock:
                export(self.journal, session_id, folder / "tables", "csv" if form == "csv" else "parquet")
            target = folder / f"{session_id}-{form}.zip"
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for table in sorted((folder / "tables").iterdir()):
                    archive.write(table, f"{session_id}/{table.name}")
            return target
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _once(self, what: str, session_id: str, ask: Callable[[SessionRow], Any]) -> Any:
        with self._audits if what == "audit" else self._lock:
            row = self.journal.session(session_id)
            key = (what, session_id, row.last_seq, row.chain)
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            answer = self._kept[key] = ask(row)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return answer


def _audited(session_id: str) -> dict[str, Any]:
    """The document of `pregao audit`, run beside: living through months again would hold up this process's streams."""
    command = [sys.executable, "-c", "from pregao.cli import main; main()", "audit", session_id, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise PregaoError(f"The audit failed: {last.removeprefix('Error: ')}") from None
    return found


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
