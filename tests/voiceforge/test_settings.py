"""VOICEFORGE_* variables: what is unknown or bad is named with what is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voiceforge.errors import UsageError
from voiceforge.settings import load_settings


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("domains: {}\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path.resolve()


def test_the_project_is_the_nearest_folder_with_params(here: Path) -> None:
    settings = load_settings({}, here / "a" / "b")
    assert settings.project == here
    assert settings.home == here / "var"
    assert settings.threads == len(os.sched_getaffinity(0))
    assert not settings.offline
    below = [settings.cache, settings.artifacts, settings.mlflow_artifacts, settings.locks]
    assert all(path.is_relative_to(here / "var") for path in below)
    assert settings.mlflow_uri == f"sqlite:///{here}/var/mlflow/mlflow.db"


def test_variables_say_otherwise(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environ = {
        "VOICEFORGE_PROJECT": str(here),
        "VOICEFORGE_HOME": str(elsewhere),
        "VOICEFORGE_THREADS": "3",
        "VOICEFORGE_OFFLINE": "1",
        "VOICEFORGE_SOURCE_TIMEOUT": "0.5",
        "VOICEFORGE_DEVICE": "cpu",
        "VOICEFORGE_PROCESSES": "2",
        "OTHER": "x",
    }
    settings = load_settings(environ, elsewhere)
    assert (settings.project, settings.home) == (here, elsewhere.resolve())
    assert (settings.threads, settings.offline, settings.source_timeout) == (3, True, 0.5)
    assert (settings.device, settings.processes) == ("cpu", 2)


def test_an_empty_variable_is_the_default(here: Path) -> None:
    names = (
        "PROJECT",
        "HOME",
        "THREADS",
        "OFFLINE",
        "SOURCE_TIMEOUT",
        "REMOTE",
        "DEVICE",
        "PROCESSES",
    )
    environ = {f"VOICEFORGE_{name}": "" for name in names}
    assert load_settings(environ, here) == load_settings({}, here)


def test_a_remote_is_a_folder_or_an_s3_address(here: Path) -> None:
    def remote(text: str) -> str:
        return load_settings({"VOICEFORGE_REMOTE": text} if text else {}, here).remote

    assert remote("") == str(here / "var" / "dvc-remote")
    assert remote("shared/dvc") == str(here / "shared" / "dvc")
    assert remote("/srv/dvc/") == "/srv/dvc"
    assert remote("s3://speech/team/") == "s3://speech/team"
    assert remote("s3://speech") == "s3://speech"
    with pytest.raises(UsageError, match="which is not a folder"):
        remote("params.yaml")


def test_an_unknown_variable_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match=r"VOICEFORGE_HOEM is not known(?s:.*)VOICEFORGE_HOME"):
        load_settings({"VOICEFORGE_HOEM": "x"}, here)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("THREADS", "0"),
        ("THREADS", "two"),
        ("THREADS", "1.5"),
        ("OFFLINE", "yes"),
        ("SOURCE_TIMEOUT", "0"),
        ("SOURCE_TIMEOUT", "nan"),
        ("SOURCE_TIMEOUT", "-1"),
        ("DEVICE", "gpu"),
        ("DEVICE", "cuda:1"),
        ("PROCESSES", "0"),
        ("PROCESSES", "all"),
        ("REMOTE", "gs://bucket/x"),
        ("REMOTE", "s3://"),
        ("REMOTE", "s3://Not_A_Bucket/x"),
        ("REMOTE", "s3://bucket/x?versionId=1"),
    ],
)
def test_a_bad_value_is_named(here: Path, key: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({f"VOICEFORGE_{key}": value}, here)
    assert str(caught.value).startswith(f"VOICEFORGE_{key} is {value!r}. It must be: ")


def test_no_project_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No params\.yaml in"):
        load_settings({}, tmp_path)
    with pytest.raises(UsageError, match=r"VOICEFORGE_PROJECT is .*no params\.yaml"):
        load_settings({"VOICEFORGE_PROJECT": str(tmp_path)}, tmp_path)
