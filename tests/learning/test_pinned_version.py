"""Training reads the bars of the version that it is pinned to, whatever the store holds by then."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pregao.cli import main
from pregao.core.errors import NotFoundError
from pregao.core.timeframe import Timeframe
from pregao.learning import pipeline
from pregao.market.ingest import ingest
from pregao.market.store import Store

EDGE, KEY, M15 = "EDGE/USDT", "synthetic/synthetic/EDGE-USDT", Timeframe.parse("15m")


@pytest.mark.slow
def test_features_are_made_of_the_pinned_version(home, capsys):
    first = ingest("synthetic", [EDGE], "15m", {"bars": 3_000, "seed": 1}).version
    old = Store().bars(Store().instrument(EDGE), M15)
    second = ingest("synthetic", [EDGE], "15m", {"bars": 4_000, "seed": 2}).version
    rows = {}
    for version in (first, second):
        workspace = pipeline.prepare(EDGE, "15m", version=version.short)
        assert workspace.dataset.version == version.md5
        pipeline.run(workspace, "features")
        rows[version.md5] = pq.read_table(workspace.root / "examples.parquet").num_rows
    assert rows[first.md5] <= 2_250 < rows[second.md5] <= 3_000  # all but the holdout of a quarter
    pipeline.prepare(EDGE, "15m", version=first.short)
    held = Store(pipeline.workspace_folder(EDGE, "15m") / "snapshot")
    assert np.array_equal(held.bars(held.instrument(EDGE), M15).close, old.close)
    assert json.loads((held.root.parent / ".snapshot.json").read_text())["version"]["md5"] == first.md5
    with pytest.raises(NotFoundError, match="no version named 'ffffffff'"):
        pipeline.prepare(EDGE, "15m", version="ffffffff")
    for command in ("train", "retrain"):
        with pytest.raises(SystemExit) as ended:
            main([command, EDGE, "--timeframe", "15m", "--data-version", "ffffffff"])
        assert ended.value.code == 2
        assert "no version named 'ffffffff'" in capsys.readouterr().err
