"""A private PostgreSQL server for tests."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from free_ports import free_port


class Postgres:
    """A private PostgreSQL server in a folder, on a Unix socket and a free loopback port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = [Path(p).parent for p in [shutil.which("initdb") or ""] if p]
        found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        self.bin = next((p for p in found if (p / "pg_ctl").exists()), None)
        if self.bin is None:
            pytest.skip("PostgreSQL is not installed: no initdb and pg_ctl on PATH or in /usr/lib/postgresql")
        self.user = getpass.getuser()
        self.prefix: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            import pwd

            try:
                entry = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
            self.user = "postgres"
            self.prefix = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            folder.chmod(0o755)
        self.port = free_port()

    def run(self, program: str, *arguments: str) -> None:
        assert self.bin is not None
        command = [*self.prefix, str(self.bin / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=200)
        if done.returncode:
            log = self.folder / "log"
            pytest.fail(f"{program}: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}")

    def start(self) -> None:
        data = str(self.folder / "data")
        self.run("initdb", "-D", data, "-U", self.user, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        options += " -c fsync=off"  # nothing here pulls the machine's plug
        self.run("pg_ctl", "-D", data, "-l", str(self.folder / "log"), "-o", options, "-w", "-t", "180", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, name: str) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)
