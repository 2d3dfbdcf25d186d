"""Remotes: S3 restores every byte, and what is wrong with one is said within seconds."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.remotes import RemoteSettings
from data.versions import add_version, checkout_version
from tests.s3 import S3
from voiceforge.errors import IntegrityError, SourceError, StorageError
from voiceforge.files import new_folder, sha256_folder

AUDIO = bytes(range(256)) * 400


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(project: Path, *files: tuple[str, bytes]) -> Path:
    corpus = project / "data" / "corpora" / "calls"
    with new_folder(corpus) as folder:
        for name, content in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return corpus


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_version_comes_back_from_s3_byte_for_byte(project: Path, s3: S3) -> None:
    remote = RemoteSettings(s3.url)
    corpus = write(project, ("audio/ab/😀 a.flac", AUDIO), ("utterances.parquet", b"PAR1"))
    original = sha256_folder(corpus)
    version = add_version(project, corpus, remote)
    assert version.remote == s3.url and len(s3.names()) == 3
    assert AUDIO in s3.content().values()

    second = add_version(project, write(project, ("utterances.parquet", b"PAR2")), remote)
    shutil.rmtree(corpus)
    shutil.rmtree(project / ".dvc" / "cache")
    assert checkout_version(project, "calls", version.md5, remote) == version
    assert sha256_folder(corpus) == original
    # The one from the remote, the other now from the cache, without a connection.
    add_version(project, corpus, remote)
    checkout_version(project, "calls", second.md5, remote)
    checkout_version(project, "calls", version.md5, RemoteSettings(s3.url, offline=True))
    assert sha256_folder(corpus) == original


def test_a_fresh_clone_pulls_with_dvc_alone(
    project: Path, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "init", "-q")
    (project / ".dvc").mkdir()
    (project / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (project / ".dvc" / "config").write_text(
        f"[core]\n    remote = team\n['remote \"team\"']\n    url = {s3.url}\n"
        f"    endpointurl = {s3.endpoint}\n"
    )
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    corpus = write(project, ("audio/a.flac", AUDIO), ("utterances.parquet", b"PAR1"))
    # The project's own remote comes before what this machine says.
    version = add_version(project, corpus, RemoteSettings(str(tmp_path / "unused")))
    assert version.remote == s3.url and not (tmp_path / "unused").exists()
    git(project, "add", "--all")
    git(project, "commit", "-q", "-m", "corpus")
    git(tmp_path, "clone", "-q", str(project), "clone")
    pull = [sys.executable, "-m", "dvc", "pull", "--quiet"]
    subprocess.run(pull, cwd=tmp_path / "clone", check=True)
    pulled = tmp_path / "clone" / "data" / "corpora" / "calls"
    assert sha256_folder(pulled) == sha256_folder(corpus)


def test_a_missing_bucket_loses_nothing_and_the_next_time_pushes(project: Path, s3: S3) -> None:
    import boto3

    corpus = write(project, ("audio/a.flac", AUDIO))
    bucket = s3.bucket + "-new"
    remote = RemoteSettings(f"s3://{bucket}/x")
    with pytest.raises(StorageError, match=r"NoSuchBucket.*Make that bucket.*Nothing is lost"):
        add_version(project, corpus, remote)
    recorded = (project / "data" / "corpora" / "calls.dvc").read_text()
    assert (corpus / "audio" / "a.flac").read_bytes() == AUDIO
    boto3.client("s3").create_bucket(Bucket=bucket)
    version = add_version(project, corpus, remote)
    assert version.md5 in recorded
    assert AUDIO in S3(s3.endpoint, bucket).content().values()


def test_wrong_credentials_are_named(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write(project, ("audio/a.flac", AUDIO))
    s3.check_credentials()
    with pytest.raises(StorageError, match=r"InvalidAccessKeyId.*AWS_ACCESS_KEY_ID.*next run"):
        add_version(project, corpus, RemoteSettings(s3.url))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(StorageError, match=r"credentials.*AWS_ACCESS_KEY_ID"):
        add_version(project, corpus, RemoteSettings(s3.url))
    s3.trust_everybody()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    assert s3.names() == []
    add_version(project, corpus, RemoteSettings(s3.url))
    assert AUDIO in s3.content().values()


def test_who_may_read_and_not_write_is_told_why(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that DVC counts as failed have a reason, and the error says it."""
    import json

    import boto3

    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:List*", "s3:Get*"], "Resource": "*"}],
    }
    policy = json.dumps(document)
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    corpus = write(project, ("audio/a.flac", AUDIO))
    s3.check_credentials()
    with pytest.raises(StorageError, match=r"AccessDenied.*allowed to do there"):
        add_version(project, corpus, RemoteSettings(s3.url))


@pytest.mark.parametrize("answer", ["refuses", "is silent"])
def test_a_dead_endpoint_costs_seconds(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    corpus = write(project, ("audio/a.flac", AUDIO))
    add_version(project, corpus, None)  # not what is timed
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answer == "is silent":
            listener.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"endpoint URL.*AWS_ENDPOINT_URL.*Nothing is lost"):
            add_version(project, corpus, RemoteSettings(s3.url, timeout=1.0))
        assert time.monotonic() - began < 8
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    add_version(project, corpus, RemoteSettings(s3.url))
    assert AUDIO in s3.content().values()


def test_the_missing_extra_is_named(project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dvc_s3", None)  # what Python does with a package that is not
    corpus = write(project, ("audio/a.flac", AUDIO))
    with pytest.raises(StorageError, match=r"pip install 'voiceforge\[s3\]'.*Nothing is lost"):
        add_version(project, corpus, RemoteSettings(s3.url))
    assert (project / "data" / "corpora" / "calls.dvc").is_file()


def test_offline_opens_no_connection(
    project: Path, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = write(project, ("audio/a.flac", AUDIO))
    offline = RemoteSettings(s3.url, offline=True)
    version = add_version(project, corpus, offline)
    assert version.remote == "" and s3.names() == []
    assert "VOICEFORGE_OFFLINE is 1" in caplog.text
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(SourceError, match="VOICEFORGE_OFFLINE forbids to ask the remote s3://"):
        checkout_version(project, "calls", version.md5, offline)
    assert (corpus / "audio" / "a.flac").read_bytes() == AUDIO


def test_what_the_remote_spoilt_is_not_restored(project: Path, s3: S3) -> None:
    import boto3

    remote = RemoteSettings(s3.url)
    corpus = write(project, ("audio/a.flac", AUDIO))
    version = add_version(project, corpus, remote)
    key = next(key for key, content in s3.content().items() if content == AUDIO)
    boto3.client("s3").put_object(Bucket=s3.bucket, Key=key, Body=b"other")
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(IntegrityError, match=r"audio/a\.flac"):
        checkout_version(project, "calls", version.md5, remote)
    assert (corpus / "audio" / "a.flac").read_bytes() == AUDIO
