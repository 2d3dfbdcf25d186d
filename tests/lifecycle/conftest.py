"""A finished lifecycle whose expensive artifacts are laid down rather than computed.

The splits, predictions and reports are real files in their real formats, and registry, certificate
and promotion are the real thing; only training and decoding did not happen: an engine is a folder
of a few bytes, and what it "said" is written by the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from tokenizers import Tokenizer

from data.splits import assign_splits
from data.tables import write_utterances
from data.utterance import Utterance
from evaluation.estimate import Estimate
from evaluation.latency import LatencyMeasurement, Percentiles
from evaluation.prediction import Prediction
from evaluation.reports.latency import latency_report
from evaluation.runners import write_predictions
from lifecycle import corpus, domain_evaluation, engine, predictions, reports, splits, validation
from lifecycle.adapter import STAGE as ADAPTER
from lifecycle.adapter import parameters as adapter_parameters
from lifecycle.artifacts import Artifact
from lifecycle.calibration import make_calibration
from lifecycle.merged_model import STAGE as MERGED
from lifecycle.reports import make_accent_report, make_accuracy_report
from lifecycle.workspace import Workspace, open_workspace
from serving.engines import contracts, engine_sha256
from serving.engines.contracts import EngineDescription
from serving.engines.description import write_description
from serving.registry import Registry
from training.base_models import resolve
from voiceforge.files import link_file, write_json, write_text
from voiceforge.params import load_params
from voiceforge.settings import Settings, load_settings

DOMAIN = "telephony-en"
TEXTS = 150


@pytest.fixture
def settings(tmp_path: Path, project: Path, cache: Path) -> Settings:
    """The shipped params.yaml in a project of its own."""
    folder = tmp_path / "project"
    (folder / "var").mkdir(parents=True)
    (folder / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    (folder / "var" / "cache").symlink_to(cache)
    return load_settings({}, folder)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making one takes MLflow many seconds, copying it none."""
    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    assert Registry(f"sqlite:///{path}", path.parent).domains() == []
    return path


@dataclass(frozen=True)
class World:
    """A domain whose engines say what the test decides.

    Attributes:
        more_dev: texts that dev has besides its few.
        foreign: utterances of test that are in Spanish.
    """

    settings: Settings
    more_dev: int = 0
    foreign: int = 0

    def rows(self) -> list[Utterance]:
        """The corpus, split."""
        rows = _rows()
        more = [
            replace(
                rows[0],
                id=f"dev-{n}",
                text=f"please press {n} to hear extension {n}",
                split="dev",
                audio_sha256=f"dev sound {n}",
            )
            for n in range(self.more_dev)
        ]
        test = [row.id for row in rows if row.split == "test"][: self.foreign]
        return [
            replace(row, language="es", accent="es") if row.id in test else row
            for row in (*rows, *more)
        ]

    @property
    def workspace(self) -> Workspace:
        return open_workspace(DOMAIN, self.settings)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.mlflow_uri, self.settings.mlflow_artifacts)

    def train(self, name: str, wrong: int) -> None:
        """A model whose engine gets `wrong` of every ten texts wrong; the base gets seven."""
        workspace = self.workspace
        base = resolve("whisper-tiny.en", cache=self.settings.cache, offline=True, timeout=1.0)
        corpus_made = self._make(
            corpus.STAGE, {}, {"utterances": len(self.rows()), "quarantined": 0}
        )
        validated = self._make(
            validation.STAGE,
            {corpus.STAGE: corpus_made.sha256},
            {"utterances": len(self.rows()), "quarantined": 0, "quarantine_reasons": {}},
            lambda out: write_utterances(out / validation.TABLE, self.rows()),
        )
        split = self._make(
            splits.STAGE,
            {validation.STAGE: validated.sha256},
            {"utterances": len(self.rows())},
            lambda out: write_utterances(out / splits.TABLE, self.rows()),
        )
        record = workspace.store.folder(DOMAIN, corpus.STAGE) / "versions" / corpus_made.sha256
        write_json(record / "version.json", {"md5": "0a1b2c.dir", "files": 1, "bytes": 1})
        write_text(workspace.corpus.with_name(f"{DOMAIN}.dvc"), "outs: [{md5: 0a1b2c.dir}]\n")
        adapter = self._make(
            ADAPTER,
            {"base_model": base.sha256, "name": name},
            {
                "seconds": 1.0,
                "dev_word_error_rate": 0.1,
                "loss_curve": [{"step": 1, "loss": 2.0, "learning_rate": 1e-3}],
                "dev_curve": [],
            },
            lambda out: write_text(out / "adapter_model.safetensors", name),
            adapter_parameters(workspace),
        )
        merged = self._make(
            MERGED,
            {ADAPTER: adapter.sha256},
            {"tensors_sha256": name, "non_finite": []},
            lambda out: write_text(out / "model.safetensors", name),
        )
        rate = Estimate(0.1, 0.1, 0.1, 0.95, 100, 20, 2, "laid down").as_dict()
        loss = Estimate(0.0, -0.01, 0.01, 0.95, 100, 20, 2, "laid down").as_dict()
        ours = self._engine(
            engine.STAGE, {MERGED: merged.sha256}, name,
            {"precision": "int8", "word_error_rate_after": rate, "loss": loss},
        )  # fmt: skip
        theirs = self._engine(engine.BASE, {"base_model": base.sha256}, "base", {})
        params = workspace.domain.evaluation
        size = {"batch_size": params.batch_size, "decoding": contracts.DECODING_VERSION}
        sample = {
            "words_per_accent": params.base_words_per_accent,
            "human_words": params.base_human_words,
            "seed": params.seed,
        }
        self._said(predictions.STAGE, ours, split, wrong, size)
        self._said(predictions.DEV, ours, split, wrong, {**size, "split": "dev"})
        self._said(predictions.BASE, theirs, split, 7, {**size, **sample})
        make_calibration(workspace)
        make_accuracy_report(workspace)
        make_accent_report(workspace)
        self._make(domain_evaluation.STAGE, {engine.STAGE: ours.sha256}, {})
        speed = LatencyMeasurement(Percentiles(1, 2, 3), 1, 9, 9, 8, 8, 2, 30, 3, 2, "a machine")
        self._make(
            reports.LATENCY,
            {engine.STAGE: ours.sha256},
            {
                "p50_seconds": 1.0, "p95_seconds": 2.0, "base_p50_seconds": 1.0,
                "base_p95_seconds": 2.0, "speedup": 1.0, "clips": 8,
            },
            lambda out: write_json(
                out / reports.FILE,
                latency_report(speed, speed, candidate_name=name, baseline_name="base").as_dict(),
            ),
        )  # fmt: skip

    def _make(
        self,
        stage: str,
        inputs: Mapping[str, str],
        summary: Mapping[str, Any],
        write: Callable[[Path], object] = lambda _: None,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> Artifact:
        def build(out: Path, _: Path) -> Mapping[str, Any]:
            write(out)
            return summary

        return self.workspace.make(stage, 0, inputs, dict(parameters), build)

    def _engine(
        self, stage: str, inputs: Mapping[str, str], name: str, summary: Mapping[str, Any]
    ) -> Artifact:
        description = EngineDescription(
            "ctranslate2", "int8", 100, "en", False, 80, name, {"model.bin": name}, {}
        )

        def write(out: Path) -> None:
            folder = out / "engine"
            write_text(folder / "model.bin", name)
            link_file(self._tokenizer, folder / "tokenizer.json")
            write_description(folder, description)

        known = {"kind": description.kind, "precision": description.precision}
        return self._make(stage, inputs, {**known, **summary}, write)

    @property
    def _tokenizer(self) -> Path:
        base = resolve("whisper-tiny.en", cache=self.settings.cache, offline=True, timeout=1.0)
        return base.path / "tokenizer.json"

    def _said(
        self, pointer: str, heard: Artifact, split: Artifact, wrong: int, params: Mapping[str, Any]
    ) -> None:
        identity = engine_sha256(engine.engine_folder(heard))

        def build(out: Path, _: Path) -> Mapping[str, Any]:
            side = [row for row in self.rows() if row.split == params.get("split", "test")]
            tokenizer = _tokenizer(self._tokenizer)
            rows = [
                _prediction(row, number % 10 < wrong, tokenizer) for number, row in enumerate(side)
            ]
            write_predictions(out / predictions.TABLE, rows)
            return {"utterances": len(rows), "audio_seconds": 1.0, "compute_seconds": 1.0}

        self.workspace.make(
            predictions.STAGE,
            predictions.VERSION,
            {"engine": identity, splits.STAGE: split.sha256},
            params,
            build,
            pointer=pointer,
        )


@pytest.fixture
def world(settings: Settings, empty_registry: Path) -> World:
    settings.mlflow_database.parent.mkdir(parents=True)
    shutil.copyfile(empty_registry, settings.mlflow_database)
    settings.mlflow_artifacts.mkdir()
    return World(settings)


@cache
def _tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


@cache
def _rows() -> list[Utterance]:
    """As many people's utterances as synthetic ones, split as params.yaml says."""
    rows = []
    for number in range(TEXTS):
        for accent, synthetic in (("en", False), ("en-gb", True)):
            name = f"{accent}-{number}"
            text = f"please enter extension number {number} and then press the pound key"
            speaker = f"{accent} voice {number % 3}"
            rows.append(
                Utterance(name, f"audio/{name}.flac", 3.0, text, "en", accent, speaker, DOMAIN,
                          "laid down", "unknown", "granted", "", synthetic, name)
            )  # fmt: skip
    params = load_params(Path(__file__).parents[2] / "params.yaml")[DOMAIN].splits
    return assign_splits(rows, params, {})


def _prediction(row: Utterance, wrong: bool, tokenizer: Tokenizer) -> Prediction:
    """Of every word it is less sure than it might be, of a wrong one least."""
    said = row.text.replace("extension", "tension") if wrong else row.text
    logprobs: list[float] = []
    for word in said.split():
        tokens = len(tokenizer.encode(f" {word}", add_special_tokens=False).ids)
        logprobs += [-1.5 if word == "tension" else -0.3 - 0.01 * len(word)] * tokens
    return Prediction(row.id, row.text, said, tuple(logprobs), row.duration, 0.1)
