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
from lifecycle.engine import engine_folder, engine_verdict, make_engine
from lifecycle.engine_choice import current_choice, explained, figures
from lifecycle.workspace import Workspace
from serving.engines import load_engine, offered
from tests.narrow_whisper import narrow_whisper
from training.base_models import resolve
from training.merging import DESCRIPTION
from voiceforge.errors import UsageError
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


def test_of_several_engines_the_fastest_that_passes_serves(
    merged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = merged.workspace
    first = make_engine(plain)
    params = plain.domain.engine.model_copy(
        # Random weights say something else in each precision: all of it is allowed here.
        update={"alternatives": ("ctranslate2:float32", "onnxruntime:int8"), "margin": 100.0}
    )
    workspace = Workspace(plain.settings, plain.domain.model_copy(update={"engine": params}))
    monkeypatch.setitem(offered._PACKAGES, "onnxruntime", "no_such_package")
    chosen = make_engine(workspace)
    choice = current_choice(workspace)
    assert choice is not None
    assert [one.name for one in choice.engines] == list(params.names)
    assert "no_such_package" in choice.engines[2].unavailable
    measured = choice.engines[:2]
    assert all(one.seconds > 0 and one.size > 0 for one in measured)
    least = min(one.seconds for one in measured)
    assert next(one for one in measured if one.name == choice.chosen).seconds <= 1.05 * least
    assert f"{chosen.summary['kind']}:{chosen.summary['precision']}" == choice.chosen
    assert workspace.current("engine").sha256 == chosen.sha256
    assert workspace.current("engine-ctranslate2-int8").sha256 == first.sha256
    _, sentence = engine_verdict(workspace, chosen)
    assert sentence.endswith(choice.reason)
    assert explained(workspace) == choice
    results = {row["engine"]: row["result"] for row in figures(choice)}
    assert results.pop(choice.chosen) == "chosen"
    assert "no_such_package" in results.pop("onnxruntime:int8")
    assert list(results.values()) == ["passed"]
    # Nothing is built, heard or timed again.
    with monkeypatch.context() as again:
        again.setattr("evaluation.runners.measure_latency", None)
        again.setattr("serving.engines.ctranslate2.build", None)
        assert make_engine(workspace).sha256 == chosen.sha256
    # An engine that surely loses too much is not chosen, however fast; losses that are counted
    # anew, by another normaliser, are looked at anew.
    evaluation = workspace.domain.evaluation.model_copy(update={"normaliser": "raw"})
    raw = Workspace(plain.settings, workspace.domain.model_copy(update={"evaluation": evaluation}))
    with monkeypatch.context() as strict:
        strict.setattr("lifecycle.engine.passes", lambda _, loss: False)
        assert make_engine(raw).summary["precision"] == "int8"
    failed = current_choice(raw)
    assert failed is not None
    assert failed.reason == "None of ctranslate2:int8, ctranslate2:float32 passed its check."
    assert {row["result"] for row in figures(failed)[:2]} == {"did not pass"}
    # Without alternatives the first engine is there again, and nothing is said of a choice.
    assert make_engine(plain).sha256 == first.sha256
    alone = explained(plain)
    assert (alone.chosen, len(alone.engines)) == ("ctranslate2:int8", 1)
    assert "is the one engine that params.yaml names" in alone.reason
    kept = plain.store.pointers(plain.domain.name)
    assert "engine" in kept and not [name for name in kept if name.startswith("engine-")]
    assert "engine_choice" not in kept


def test_an_engine_that_was_named_and_is_not_there_is_an_error(
    merged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(offered._PACKAGES, "ctranslate2", "no_such_package")
    with pytest.raises(UsageError, match=r"engine\.kind of params\.yaml is ctranslate2, which is"):
        make_engine(merged.workspace)


def test_onnx_runtime_serves_a_domain_that_names_it(merged: Any) -> None:
    plain = merged.workspace
    params = plain.domain.engine.model_copy(update={"kind": "onnxruntime", "precision": "float32"})
    workspace = Workspace(plain.settings, plain.domain.model_copy(update={"engine": params}))
    made = make_engine(workspace)
    assert (made.summary["kind"], made.summary["precision"]) == ("onnxruntime", "float32")
    exact = make_engine(Workspace(plain.settings, plain.domain.model_copy(update={
        "engine": plain.domain.engine.model_copy(update={"precision": "float32"})
    })))  # fmt: skip
    # Both are the model in float32, so that they say the same of dev.
    assert made.summary["loss"]["value"] == exact.summary["loss"]["value"] == 0.0
