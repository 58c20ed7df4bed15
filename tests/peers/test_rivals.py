"""The rivals themselves: each follows the rules that are written down for it, and so does our engine under its profile.

Runs where ``PREGAO_PEERS`` names the folder of their environments (see benchmarks/peers/README.md).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.peers import engines
from benchmarks.peers.differences import compare
from benchmarks.peers.engines import PEERS, Peer
from benchmarks.peers.job import Job, make
from benchmarks.peers.rules import RULES, trades

FOLDER = engines.folder_of(None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason=f"${engines.VARIABLE} does not name the rivals' environments"),
]
BY_SIGNALS = [p for p in PEERS if not p.asked]


def both(peer: Peer, job: Job, folder: Path) -> tuple[engines.Outcome, engines.Outcome]:
    """What a rival and we make of a job; skips where the rival is not installed."""
    assert FOLDER is not None
    python = engines.python_of(FOLDER, peer)
    if python is None:
        pytest.skip(f"{FOLDER / peer.environment} is not there")
    file = folder / "job.npz"
    job.save(file)
    theirs = engines.run(python, peer.runner, file, folder / "theirs", 1, peer.variant)
    return theirs, engines.run_ours(peer.profile, file, folder / "ours", 1, peer.asked)


@pytest.mark.parametrize("peer", BY_SIGNALS, ids=lambda p: p.name)
@pytest.mark.parametrize(("bars", "sides"), [("5k-wide", "long"), ("5k-wide", "short"), ("5k-ties", "long")])
def test_same_trades(peer: Peer, bars: str, sides: str, tmp_path: Path) -> None:
    job = make(bars, sides)
    theirs, ours = both(peer, job, tmp_path)
    by_rules = compare(theirs.trades, trades(job, RULES[peer.profile])[0])
    assert by_rules.equal, f"{peer.name} {theirs.report['version']} has other rules now: {by_rules.first}"
    met = compare(theirs.trades, ours.trades)
    assert met.equal, met.first
    assert ours.report["final_equity"] == pytest.approx(theirs.report["final_equity"], abs=0.005)


@pytest.mark.parametrize("peer", [p for p in BY_SIGNALS if p.profile != "freqtrade"], ids=lambda p: p.name)
@pytest.mark.parametrize("bars", ["5k-wide", "5k-ties"])
def test_same_trades_on_both_sides(peer: Peer, bars: str, tmp_path: Path) -> None:
    theirs, ours = both(peer, make(bars, "both"), tmp_path)
    met = compare(theirs.trades, ours.trades)
    assert met.equal, met.first


def test_freqtrade_enters_before_the_exit_that_made_room(tmp_path: Path) -> None:
    """Its fault, told in the README: its trades are ours and a few more, each in at the open of the bar of an exit."""
    peer = next(p for p in PEERS if p.profile == "freqtrade")
    theirs, ours = both(peer, make("5k-wide", "both"), tmp_path)
    left = set(theirs.trades["exit"].tolist())
    extra = set(theirs.trades["entry"].tolist()) - set(ours.trades["entry"].tolist())
    assert extra
    assert extra <= left
    assert compare(theirs.trades, trades(make("5k-wide", "both"), RULES["freqtrade"])[0]).equal


@pytest.mark.parametrize("peer", [p for p in PEERS if p.asked], ids=lambda p: p.name)
def test_same_trades_of_a_strategy_asked_at_every_bar(peer: Peer, tmp_path: Path) -> None:
    theirs, ours = both(peer, make("50k"), tmp_path)
    met = compare(theirs.trades, ours.trades)
    assert met.equal, met.first
    assert met.trades[0] > 300
