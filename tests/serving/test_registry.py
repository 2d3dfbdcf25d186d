from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.engines import engine_sha256, load_engine
from serving.registry import (
    CHAMPION,
    DatasetRecord,
    Registry,
    RunRecord,
    parse_address,
)
from voiceforge.errors import StorageError, UsageError

DOMAIN = "telephony-test"
RECORD = RunRecord(
    params={"steps": 240, "base_model": "whisper-tiny.en"},
    metrics={"word error rate": 0.046},
    curves={"loss": [(1, 2.5), (2, 1.5)]},
    datasets=[DatasetRecord(DOMAIN, "0a1b2c.dir", "dvc://corpora/telephony-test@0a1b2c.dir")],
    tags={"corpus_md5": "0a1b2c.dir"},
)


@pytest.fixture(scope="module")
def registry(
    new_registry: Callable[[Path], Registry], tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    return new_registry(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("parts")
    for name in ("adapter", "accuracy"):
        (root / name).mkdir()
    (root / "adapter" / "adapter_model.safetensors").write_bytes(b"\0" * 64)
    (root / "accuracy" / "report.html").write_text("<p>4.6%</p>")
    (root / "notes.txt").write_text("one file")
    return {name: root / name for name in ("adapter", "accuracy", "notes.txt")}


@pytest.fixture(scope="module")
def version(registry: Registry, engine_folder: Path, parts: dict[str, Path]) -> str:
    return registry.register(
        DOMAIN,
        RECORD,
        engine=engine_folder,
        adapter=parts["adapter"],
        reports={"accuracy": parts["accuracy"], "notes": parts["notes.txt"]},
    )


def client(registry: Registry) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(registry.uri, registry.uri)


def test_a_version_holds_its_parts_where_they_can_be_read(
    registry: Registry, version: str, engine_folder: Path, threads: int
) -> None:
    folder = registry.model_folder(DOMAIN, version)
    assert registry.artifact_root in folder.parents
    assert engine_sha256(folder) == engine_sha256(engine_folder)
    assert load_engine(folder, threads).description.precision == "int8"
    found = {path.relative_to(folder.parent).as_posix() for path in folder.parent.rglob("*")}
    assert {
        "adapter/adapter_model.safetensors",
        "report-accuracy/report.html",
        "report-notes/notes.txt",
    } <= found


def test_a_version_carries_its_lineage(
    registry: Registry, version: str, engine_folder: Path
) -> None:
    known = registry.version(DOMAIN, version)
    assert known.engine_sha256 == engine_sha256(engine_folder)
    assert known.tags["corpus_md5"] == "0a1b2c.dir"
    assert known.model_id.startswith("m-")
    run = client(registry).get_run(known.run_id)
    assert run.data.params.items() >= {"steps": "240", "base_model": "whisper-tiny.en"}.items()
    assert run.data.metrics["word error rate"] == 0.046
    loss = client(registry).get_metric_history(known.run_id, "loss")
    assert [(point.step, point.value) for point in loss] == [(1, 2.5), (2, 1.5)]
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest, dataset.source_type) == (DOMAIN, "0a1b2c.dir", "dvc")
    assert json.loads(dataset.source) == {"uri": "dvc://corpora/telephony-test@0a1b2c.dir"}


def test_an_engine_is_registered_once(
    registry: Registry, version: str, engine_folder: Path, parts: dict[str, Path]
) -> None:
    again = registry.register(
        DOMAIN, RunRecord(), engine=engine_folder, adapter=parts["adapter"], reports={}
    )
    assert again == version
    assert [known.version for known in registry.versions(DOMAIN)] == [version]
    assert registry.domains() == [DOMAIN]


def test_what_a_killed_registration_left_is_removed(
    registry: Registry, version: str, exact_folder: Path, parts: dict[str, Path]
) -> None:
    api = client(registry)
    experiment = api.get_experiment_by_name(DOMAIN).experiment_id
    killed = api.create_run(experiment, tags={"engine_sha256": engine_sha256(exact_folder)})
    second = registry.register(
        DOMAIN, RECORD, engine=exact_folder, adapter=parts["adapter"], reports={}
    )
    assert second != version
    assert api.get_run(killed.info.run_id).info.lifecycle_stage == "deleted"
    assert [known.version for known in registry.versions(DOMAIN)] == [second, version]


def test_an_alias_points_at_one_version(registry: Registry, version: str) -> None:
    assert registry.get_alias(DOMAIN, "nobody") is None
    registry.set_alias(DOMAIN, CHAMPION, version)
    assert registry.get_alias(DOMAIN, CHAMPION) == version
    assert registry.version(DOMAIN, CHAMPION).aliases == (CHAMPION,)
    assert registry.model_folder(DOMAIN, CHAMPION) == registry.model_folder(DOMAIN, version)


def test_what_is_not_registered_is_named(registry: Registry, version: str) -> None:
    with pytest.raises(UsageError, match="no model 'unheard-of'"):
        registry.version("unheard-of", CHAMPION)
    with pytest.raises(UsageError, match=f"version {version}"):
        registry.set_alias(DOMAIN, CHAMPION, "99")
    assert registry.versions("unheard-of") == []


def test_the_certificate_attached_last_is_the_latest(
    registry: Registry,
    version: str,
    engine_folder: Path,
    certify: Callable[..., Path],
    tmp_path: Path,
) -> None:
    assert registry.latest_certificate(DOMAIN, version) is None
    rejected = certify(tmp_path / "one", engine_folder, version, result="fail")
    (rejected / "certificate.html").write_text("<p>reject</p>")
    first = registry.attach_certificate(DOMAIN, version, rejected)
    second = registry.attach_certificate(
        DOMAIN, version, certify(tmp_path / "two", engine_folder, version)
    )
    latest = registry.latest_certificate(DOMAIN, version)
    assert latest is not None
    assert json.loads((latest / "certificate.json").read_text())["verdict"] == "promote"
    assert registry.version(DOMAIN, version).tags["verdict"] == "promote"
    assert (latest.parent / first / "certificate.html").is_file()
    assert registry.attach_certificate(DOMAIN, version, tmp_path / "two") == second
    with pytest.raises(StorageError, match=r"certificate\.json is missing"):
        registry.attach_certificate(DOMAIN, version, tmp_path)


def test_mlflow_runs_a_version_as_a_python_function(
    registry: Registry, version: str, prompts_folder: Path, tmp_path: Path
) -> None:
    import mlflow

    registry.set_alias(DOMAIN, CHAMPION, version)
    mlflow.set_tracking_uri(registry.uri)
    model = mlflow.pyfunc.load_model(f"models:/{DOMAIN}@{CHAMPION}")
    path = tmp_path / "prompt.g722"
    path.write_bytes((prompts_folder / "all-circuits-busy-now.g722").read_bytes())
    (answer,) = model.predict([str(path)])
    assert answer["text"] == "All circuits are busy now."


def test_files_that_are_gone_are_named(registry: Registry, version: str) -> None:
    folder = registry.model_folder(DOMAIN, version).parent.parent
    hidden = folder.with_name("elsewhere")
    folder.rename(hidden)
    try:
        with pytest.raises(StorageError, match=f"{DOMAIN} version {version}"):
            registry.model_folder(DOMAIN, version)
    finally:
        hidden.rename(folder)


def test_a_registry_that_cannot_be_written_says_so(
    registry: Registry, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow takes the address for a relative path and makes a folder of that name.
    monkeypatch.chdir(tmp_path)
    database = registry.uri.removeprefix("sqlite:///")
    readonly = Registry(f"sqlite:///file:{database}?mode=ro&uri=true", registry.artifact_root)
    assert readonly.version(DOMAIN, version).version == version
    with pytest.raises(StorageError, match="readonly database"):
        readonly.set_tag(DOMAIN, version, "promotion", "requested")


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("models:/telephony-en@champion", ("telephony-en", "champion")),
        ("models:/telephony-en/3", ("telephony-en", "3")),
    ],
)
def test_addresses_are_mlflows(address: str, meaning: tuple[str, str]) -> None:
    assert parse_address(address) == meaning


@pytest.mark.parametrize("address", ["models:/x", "x@champion", "models:/x/latest", "models:/@a"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="names no model version"):
        parse_address(address)
