"""One set of servers a folder; a port in use is told with who has it and the mend."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from free_ports import free_port

from pregao.core.errors import PregaoError, UsageError
from pregao.operations import ports
from pregao.operations.lock import Holder, Record, only_one
from pregao.operations.servers import end_leftovers

HOLD = """
import sys, time
from pathlib import Path
from pregao.operations.lock import only_one
with only_one(Path(sys.argv[1]), "pregao demo") as (record, holder, left):
    holder.addresses = {"panel": "http://127.0.0.1:7860"}
    record.write(holder)
    print("held", flush=True)
    time.sleep(600)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_one_is_refused_with_one_sentence_and_the_mend(tmp_path: Path) -> None:
    other = hold(tmp_path)
    try:
        with (
            pytest.raises(
                PregaoError, match=f"already runs in this folder: `pregao demo`, process {other.pid}"
            ) as caught,
            only_one(tmp_path, "pregao up"),
        ):
            pass
        assert "http://127.0.0.1:7860" in caught.value.mend
        assert f"kill {other.pid}" in caught.value.mend
    finally:
        other.kill()
        other.wait()
    with only_one(tmp_path, "pregao up") as (_, _, left):  # the lock went with the process, its record did not
        assert left is not None
        assert (left.pid, left.alive) == (other.pid, False)
    assert Record(tmp_path).read() is None


def test_what_a_killed_one_left_is_ended(tmp_path: Path) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        children = {
            "panel": (orphan.pid, psutil.Process(orphan.pid).create_time()),
            "flows": (stranger.pid, psutil.Process(stranger.pid).create_time() - 1_000),  # its number was used again
        }
        said: list[str] = []
        end_leftovers(Holder("pregao demo", 1, 0.0, {}, children), said.append)
        assert not psutil.pid_exists(orphan.pid)
        assert stranger.poll() is None
        assert said == ["`pregao demo` was killed and left these running, now ended: panel"]
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"command": "x"}', '{"children": {"a": 1}}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "servers.json").write_text(content)
    assert Record(tmp_path).read() is None
    with only_one(tmp_path, "pregao up") as (_, holder, left):
        assert left is None
        assert json.loads((tmp_path / "servers.json").read_text())["pid"] == os.getpid() == holder.pid


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PregaoError, match="cannot be written"), only_one(tmp_path / "file" / "var", "pregao up"):
        pass


def test_a_port_in_use_names_who_has_it_and_the_mend() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        need = ports.Need("panel", "127.0.0.1", port, "PREGAO_PANEL_PORT")
        with pytest.raises(
            PregaoError, match=rf"Port {port}, which the panel needs, .*process {os.getpid()}"
        ) as caught:
            ports.check([need])
        other = int(caught.value.mend.rpartition("=")[2])
        assert caught.value.mend.endswith(f"PREGAO_PANEL_PORT={other}")
        assert ports.is_free("127.0.0.1", other)
    assert ports.is_free("127.0.0.1", port)
    ports.check([need])


def test_a_port_that_is_still_closing_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        server.bind(("127.0.0.1", free_port()))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first: its end of the connection lingers
        time.sleep(0.05)
        client.close()
    assert ports.is_free("127.0.0.1", port)


def test_two_servers_cannot_share_a_port_whether_it_is_free_or_not() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        needs = [ports.Need("panel", "127.0.0.1", port, "A"), ports.Need("MLflow server", "127.0.0.1", port, "B")]
        with pytest.raises(UsageError, match=f"The panel and the MLflow server cannot both use port {port}") as caught:
            ports.check(needs)
    assert caught.value.mend == "Set B to another one."


@pytest.mark.parametrize("host", ["192.0.2.77", "no such host"])
def test_an_address_that_is_not_ours_is_wrong_use(host: str) -> None:
    with pytest.raises(UsageError, match="address"):
        ports.is_free(host, 45_124)
