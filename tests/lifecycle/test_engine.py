"""The stage engine on a Whisper of one narrow layer: what it heard of dev is not heard again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import write_flac
from data.features import WINDOW_FRAMES
from evaluation.runners import predict
from lifecycle import merged_model, predictions
from lifecycle.engine import engine_folder, make_engine
from serving.engines import load_engine
from tests.narrow_whisper import narrow_whisper
from training.base_models import resolve
from training.merging import DESCRIPTION
from voiceforge.files import write_json


@pytest.fixture
def merged(world: Any, tmp_path: Path) -> Any:
    """A lifecycle whose merged model can be built and hear, and has recordings of dev to hear."""
    world.train("first", 0)
    workspace, noise = world.workspace, np.random.default_rng(1)
    base = resolve("whisper-tiny.en", cache=world.settings.cache, offline=True, timeout=1.0)
    narrow_whisper(base.path, tmp_path / "narrow")
    write_json(tmp_path / "narrow" / DESCRIPTION, {"minimum_mel_frames": WINDOW_FRAMES})

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        shutil.copytree(tmp_path / "narrow", folder, dirs_exist_ok=True)
        return {"tensors_sha256": "narrow", "non_finite": []}

    workspace.make(merged_model.STAGE, 0, {"base": "narrow"}, {}, build)
    for row in predictions.utterances_of(workspace, "dev"):
        write_flac(workspace.corpus / row.audio, noise.normal(0, 0.1, 8000).astype(np.float32))
    return world


def test_dev_is_heard_once(merged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = merged.workspace
    built = engine_folder(make_engine(workspace))
    dev = predictions.utterances_of(workspace, "dev")
    heard = predict(
        load_engine(built, threads=1), dev, workspace.corpus,
        batch_size=workspace.domain.evaluation.batch_size,
    )  # fmt: skip

    def refuse(path: Path, *, threads: int) -> Any:
        raise AssertionError(f"{path} is loaded")

    with monkeypatch.context() as patch:
        patch.setattr("serving.engines.loading.load_engine", refuse)
        made = predictions.make_dev_predictions(workspace)
    assert not made.reused
    assert [(one.utterance_id, one.hypothesis) for one in predictions.read(made)] == [
        (one.utterance_id, one.hypothesis) for one in heard
    ]
    assert not list(workspace.store.root.rglob(".work-*"))
    # Where it is lost, as after `voiceforge gc`, dev is heard again, by the same engine.
    shutil.rmtree(made.path)
    again = predictions.make_dev_predictions(workspace)
    assert [one.hypothesis for one in predictions.read(again)] == [one.hypothesis for one in heard]
    assert again.key == made.key
