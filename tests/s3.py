"""A real S3 API: moto's server, with a bucket and nothing of this machine's own AWS settings."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest


@dataclass(frozen=True)
class S3:
    """A server's address and a bucket that exists there."""

    endpoint: str
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/corpora"

    def names(self) -> list[str]:
        """Names of the objects in the bucket."""
        import boto3

        listed = boto3.client("s3").list_objects_v2(Bucket=self.bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def content(self) -> dict[str, bytes]:
        """The objects in the bucket."""
        import boto3

        client = boto3.client("s3")
        return {
            key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in self.names()
        }

    def hashes(self, endpoint: str | None = None) -> set[str]:
        """sha256 of the objects in the bucket."""
        import boto3

        client = boto3.client("s3", endpoint_url=endpoint)
        listed = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        bodies = (client.get_object(Bucket=self.bucket, Key=one["Key"])["Body"] for one in listed)
        return {hashlib.sha256(body.read()).hexdigest() for body in bodies}

    def check_credentials(self) -> None:
        """From now on only known keys are let in."""
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content=b"0").raise_for_status()

    def trust_everybody(self) -> None:
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content=b"inf").raise_for_status()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3]:
    """The server as the standard AWS variables name it."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    nothing = tmp_path_factory.mktemp("aws") / "config"
    nothing.touch()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nothing))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nothing))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = S3(s3_endpoint, f"speech-{uuid.uuid4().hex[:8]}")
    boto3.client("s3").create_bucket(Bucket=server.bucket)
    yield server
    server.trust_everybody()
