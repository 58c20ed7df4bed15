"""A bucket of moto's server, which speaks S3 on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def bucket(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment says where it is and with which credentials; none of this machine's own are read."""
    import boto3
    from moto.server import ThreadedMotoServer

    for variable, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
    }.items():
        monkeypatch.setenv(variable, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}:{port}")
    boto3.client("s3").create_bucket(Bucket=name)
    yield
    server.stop()
