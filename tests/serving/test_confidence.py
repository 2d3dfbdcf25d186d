"""Confidences of answers: through the calibrator of the model that is served, and of no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml

from data.audio import decode
from evaluation.calibrator import Calibrator
from evaluation.model_calibrator import FittedOn, LevelCalibrator, ModelCalibrator
from serving import client
from serving.api import calibrated_event
from serving.bento import build_bento
from serving.confidence import CALIBRATOR, StoredCalibrator, calibrated, calibrator_beside
from serving.engines import engine_sha256
from serving.engines.contracts import DecodingOptions, Engine, Word
from serving.launch import free_port, start_service
from serving.live_model import FolderSource, LiveModel, RegistrySource, Served
from serving.registry import Registry, RunRecord
from serving.segments import LONGEST
from serving.streaming.session import Final, StreamSession
from serving.transcription import transcribe_file
from voiceforge.files import sha256_file, write_json

CLIP = "all-circuits-busy-now"
WORDS = (Word("all", 0.0, 0.3, 0.9), Word("circuits", 0.3, 0.9, 0.5))


def temperature(level: str, value: float) -> LevelCalibrator:
    return LevelCalibrator(
        Calibrator.from_dict(
            {"version": 1, "kind": "temperature", "level": level, "pooling": "mean",
             "parameters": [value], "knots": [], "units": 90, "errors": 20, "clusters": 30,
             "held_out": {}}
        ),
        "",
    )  # fmt: skip


def of_engine(sha256: str, *, utterance: bool = True) -> ModelCalibrator:
    """Halves the logit of words, and of utterances; or leaves those as they are."""
    whole = temperature("utterance", 2.0)
    if not utterance:
        identity = dataclasses.replace(whole.calibrator, kind="identity", parameters=())
        whole = LevelCalibrator(identity, "too little")
    on = FittedOn("dev", "0" * 64, 90, {}, "en", {"name": "raw"})
    return ModelCalibrator(sha256, on, whole, temperature("word", 2.0))


def halved(confidence: float) -> float:
    """By hand: odds to the power of a half."""
    odds: float = (confidence / (1.0 - confidence)) ** 0.5
    return odds / (1.0 + odds)


def test_text_and_words_go_through_their_own_calibrators() -> None:
    found = calibrated(0.8, WORDS, 3.0, "en", of_engine("x"))
    assert found.text == pytest.approx(halved(0.8))
    assert [word.confidence for word in found.words] == pytest.approx([halved(0.9), 0.5])
    assert [dataclasses.replace(word, confidence=0.0) for word in found.words] == [
        dataclasses.replace(word, confidence=0.0) for word in WORDS
    ]
    assert found.calibrated == ("utterance", "word")


def test_what_was_not_fitted_is_left_and_not_called_calibrated() -> None:
    plain = calibrated(0.8, WORDS, 3.0, "en", None)
    assert (plain.text, plain.words, plain.calibrated) == (0.8, WORDS, ())
    words_only = calibrated(0.8, WORDS, 3.0, "en", of_engine("x", utterance=False))
    assert (words_only.text, words_only.calibrated) == (0.8, ("word",))
    long = calibrated(0.8, WORDS, LONGEST + 1, "en", of_engine("x"))
    assert (long.text, long.calibrated) == (0.8, ("word",))
    foreign = calibrated(0.8, WORDS, 3.0, "fr", of_engine("x"))
    assert (foreign.text, foreign.words, foreign.calibrated) == (0.8, WORDS, ())


def test_an_empty_answer_is_not_called_certainly_wrong() -> None:
    """Nothing was fitted on answers without a text: 0 is no probability of being right."""
    nothing = calibrated(0.0, (), 3.0, "en", of_engine("x"))
    assert (nothing.text, nothing.words, nothing.calibrated) == (0.0, (), ())
    text_only = calibrated(0.8, (), 3.0, "en", of_engine("x"))
    assert text_only.calibrated == ("utterance",)


def test_a_file_and_a_stream_answer_with_probabilities(
    engine: Engine, prompts_folder: Path
) -> None:
    path, own = prompts_folder / f"{CLIP}.g722", of_engine("x")
    raw, heard = transcribe_file(engine, path), transcribe_file(engine, path, calibrator=own)
    assert heard.confidence == pytest.approx(halved(raw.confidence))
    assert heard.as_dict()["calibrated"] == ("utterance", "word") and raw.calibrated == ()
    session = StreamSession(
        lambda samples, options: engine.transcribe([samples], options)[0],
        decoding=DecodingOptions(word_times=True),
    )
    (final,) = (
        one for one in [*session.accept(decode(path)), *session.finish()] if isinstance(one, Final)
    )
    served = Served("telephony-test", "1", "x", False, engine, own)
    sent = calibrated_event(final, served)
    assert isinstance(sent, Final) and sent.calibrated == ("utterance", "word")
    assert sent.confidence == pytest.approx(halved(final.confidence))
    assert calibrated_event(final, dataclasses.replace(served, calibrator=None)) == final
    on = dataclasses.replace(own.fitted_on, language="it")
    italian = dataclasses.replace(served, calibrator=dataclasses.replace(own, fitted_on=on))
    assert calibrated_event(final, italian) == final


def test_a_model_is_not_served_with_the_calibrator_of_another(
    engine_folder: Path, certify: Callable[..., Path], tmp_path: Path
) -> None:
    certificate = certify(tmp_path / "certificate", engine_folder, "1")
    source = FolderSource(engine_folder, "telephony-test", "1", certificate, True)
    live = LiveModel(lambda: source, threads=1)
    live.refresh()
    assert live.current is not None and live.current.calibrator is None
    write_json(tmp_path / CALIBRATOR, of_engine("f" * 64).as_dict())
    with_other = dataclasses.replace(
        source, version="2", calibrator=StoredCalibrator(tmp_path / CALIBRATOR)
    )
    live = LiveModel(lambda: with_other, threads=1)
    live.refresh()
    assert live.current is None and "confidences of engine ffffffffffff" in live.problem
    write_json(tmp_path / CALIBRATOR, of_engine(engine_sha256(engine_folder)).as_dict())
    live.refresh()
    assert live.current is not None and live.current.calibrator is not None


def test_a_version_holds_its_calibrator_and_its_pyfunc_uses_it(
    new_registry: Callable[[Path], Registry], engine_folder: Path, tmp_path: Path,
    prompts_folder: Path,
) -> None:  # fmt: skip
    import mlflow

    registry = new_registry(tmp_path / "mlflow")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "a.safetensors").write_bytes(b"\0")
    file = tmp_path / CALIBRATOR
    write_json(file, of_engine(engine_sha256(engine_folder)).as_dict())
    version = registry.register(
        "calls", RunRecord(), engine=engine_folder, adapter=tmp_path / "adapter", reports={},
        calibrator=file,
    )  # fmt: skip
    beside = calibrator_beside(registry.model_folder("calls", version))
    assert beside is not None and beside.read_bytes() == file.read_bytes()
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    model = mlflow.pyfunc.load_model(f"models:/calls/{version}")
    (answer,) = model.predict([str(prompts_folder / f"{CLIP}.g722")])
    assert list(answer["calibrated"]) == ["utterance", "word"]
    # Fitted anew, it takes the place of the one before.
    write_json(file, of_engine(engine_sha256(engine_folder), utterance=False).as_dict())
    registry.attach_calibrator("calls", version, file)
    assert beside.read_bytes() == file.read_bytes()
    beside.unlink()
    with pytest.raises(RuntimeError, match="The calibrator that this model was registered with"):
        mlflow.pyfunc.load_model(f"models:/calls/{version}")


def test_a_calibrator_that_is_lost_or_changed_is_an_alarm_and_a_new_one_is_served(
    new_registry: Callable[[Path], Registry], engine_folder: Path, certify: Callable[..., Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    registry, sha256 = new_registry(tmp_path / "mlflow"), engine_sha256(engine_folder)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "a.safetensors").write_bytes(b"\0")
    file = tmp_path / CALIBRATOR
    write_json(file, of_engine(sha256).as_dict())
    version = registry.register(
        "calls", RunRecord(), engine=engine_folder, adapter=tmp_path / "adapter", reports={},
        calibrator=file,
    )  # fmt: skip
    assert registry.version("calls", version).tags["calibrator"] == sha256_file(file)[:16]
    registry.attach_certificate("calls", version, certify(tmp_path / "c", engine_folder, version))
    registry.set_alias("calls", "champion", version)
    live, restarted = (
        LiveModel(lambda: RegistrySource(registry, "calls"), threads=1) for _ in range(2)
    )
    live.refresh()
    assert live.current is not None and live.current.calibrator == of_engine(sha256)

    # Fitted anew in place: whoever serves it already must not go on with the one before.
    write_json(file, of_engine(sha256, utterance=False).as_dict())
    registry.attach_calibrator("calls", version, file)
    live.refresh()
    served = live.current
    assert served is not None and served.calibrator == of_engine(sha256, utterance=False)

    beside = calibrator_beside(registry.model_folder("calls", version))
    assert beside is not None
    beside.unlink()
    for one in (live, restarted):
        one.refresh()
        assert f"given the calibrator {sha256_file(file)[:16]}, and the file is gone" in one.problem
    assert live.current is served and restarted.current is None

    write_json(beside, of_engine(sha256).as_dict())
    restarted.refresh()
    assert restarted.current is None
    assert f"{beside} is {sha256_file(beside)[:16]}" in restarted.problem

    registry.attach_calibrator("calls", version, file)
    for one in (live, restarted):
        one.refresh()
        assert not one.problem and one.current is not None
        assert one.current.calibrator == of_engine(sha256, utterance=False)


def test_a_bento_carries_the_calibrator(
    engine_folder: Path, certify: Callable[..., Path], tmp_path: Path, project: Path,
    prompts_folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from serving.service import _packaged as packaged

    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    write_json(tmp_path / CALIBRATOR, of_engine(engine_sha256(engine_folder)).as_dict())
    certificate = certify(tmp_path / "certificate", engine_folder, "3")
    tag = build_bento(
        "telephony-test", "3", engine=engine_folder, certificate=certificate, project=project,
        calibrator=tmp_path / CALIBRATOR,
    )  # fmt: skip
    with start_service(free_port(), {}, tmp_path / "log", target=tag) as service:
        answer = client.transcribe(service.url, prompts_folder / f"{CLIP}.g722")
        (served,) = httpx.get(f"{service.url}/api/v1/models/list").json()["models"]
        finals = [
            event
            for event in client.stream(service.url, decode(prompts_folder / f"{CLIP}.g722"))
            if event["type"] == "final"
        ]
    assert answer["calibrated"] == served["calibrated"] == ["utterance", "word"]
    assert [final["calibrated"] for final in finals] == [["utterance", "word"]]
    # And its hash, in the model's labels: without the file it would answer otherwise.
    (stored,) = (tmp_path / "bentoml" / "models" / tag.split(":")[0]).glob("*/model.yaml")
    labels = yaml.safe_load(stored.read_text())["labels"]
    assert labels["calibrator"] == sha256_file(tmp_path / CALIBRATOR)[:16]
    (stored.parent / CALIBRATOR).unlink()
    info = SimpleNamespace(path=str(stored.parent), info=SimpleNamespace(labels=labels))
    live = LiveModel(lambda: packaged(SimpleNamespace(resolve=lambda: info)), threads=1)
    live.refresh()
    assert live.current is None and "the file is gone" in live.problem
