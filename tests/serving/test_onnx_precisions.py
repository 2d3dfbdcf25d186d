"""Every precision of ONNX Runtime on real speech, beside float32, and one that breaks the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest

from data.audio import decode, write_flac
from data.features import SAMPLE_RATE
from data.sources.base import FileAudio, Reach, Recording
from data.sources.prompts import Prompts
from data.utterance import Utterance
from evaluation.comparison import Comparison
from evaluation.prediction import Prediction
from evaluation.reports.accuracy import accuracy_report
from evaluation.runners import predict
from serving.engines import load_engine, onnx
from serving.engines.contracts import EngineSpec, Samples
from serving.engines.description import read_description
from serving.engines.onnx.quantize import EVERYTHING, STATIC, Recipe
from tests.recorded import utterance
from training.base_models import BaseModel
from voiceforge.errors import UsageError
from voiceforge.params import load_params

pytestmark = pytest.mark.system  # encoders are fitted to speech, and hear some

Speech = tuple[Path, list[Utterance]]
EVALUATED, FITTED = 30, 12


@pytest.fixture(scope="module")
def evaluated(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Speech:
    """Prompts of 1 to 5 s, none of which calibrates anything."""
    folder = tmp_path_factory.mktemp("speech")
    rows = []
    for recording, samples in _prompts(cache, 0, EVALUATED):
        write_flac(folder / f"{recording.id}.flac", samples)
        rows.append(utterance(recording, samples, "dev"))
    return folder, rows


@pytest.fixture(scope="module")
def calibration(cache: Path) -> list[Samples]:
    return [samples for _, samples in _prompts(cache, 1, FITTED)]


@pytest.fixture(scope="module")
def exactly(onnx_folder: Path, evaluated: Speech, threads: int) -> list[Prediction]:
    """What float32 says."""
    return _heard(onnx_folder, evaluated, threads)


@pytest.mark.parametrize(
    ("precision", "loss", "logprobs", "size"),
    [("int8", 0.04, 0.15, 0.35), ("int8_static", 0.04, 0.15, 0.45), ("float16", 0.005, 0.01, 0.52)],
)
def test_a_precision_says_what_float32_says_in_fewer_bytes(
    precision: str, loss: float, logprobs: float, size: float,
    tiny_en: BaseModel, onnx_folder: Path, calibration: list[Samples], evaluated: Speech,
    exactly: list[Prediction], tmp_path: Path, threads: int,
) -> None:  # fmt: skip
    folder = _built(tiny_en, precision, tmp_path / precision, onnx_folder, calibration)
    said = _heard(folder, evaluated, threads)
    assert _compared(said, exactly, evaluated).difference.value <= loss
    same = [
        (one, other)
        for one, other in zip(said, exactly, strict=True)
        if one.hypothesis == other.hypothesis
    ]
    assert len(same) >= 0.7 * EVALUATED
    apart = [
        np.abs(np.subtract(one.token_logprobs, other.token_logprobs)).mean()
        for one, other in same
        if len(one.token_logprobs) == len(other.token_logprobs) > 0
    ]
    assert np.median(apart) <= logprobs
    assert _size(folder) < size * _size(onnx_folder)


def test_a_recipe_that_breaks_the_model_is_surely_worse_than_the_margin(
    tiny_en: BaseModel, onnx_folder: Path, calibration: list[Samples], evaluated: Speech,
    exactly: list[Prediction], tmp_path: Path, threads: int, project: Path,
) -> None:  # fmt: skip
    """Every product and convolution, in MinMax: what `lifecycle.engine.engine_verdict` stops."""
    folder = _built(
        tiny_en, "int8_static", tmp_path / "broken", onnx_folder, calibration[:4], EVERYTHING
    )
    compared = _compared(_heard(folder, evaluated, threads), exactly, evaluated)
    margin = load_params(project / "params.yaml")["telephony-en"].engine.margin
    assert 100 * compared.difference.low > margin
    assert compared.candidate.value > 3 * compared.baseline.value


def test_engine_json_says_what_calibrated_it_and_the_graph_is_what_tensorrt_takes(
    tiny_en: BaseModel, onnx_folder: Path, calibration: list[Samples], tmp_path: Path
) -> None:
    clips = calibration[:2]
    folder = _built(tiny_en, "int8_static", tmp_path / "static", onnx_folder, clips)
    fitted = read_description(folder).calibration
    assert fitted is not None
    assert (fitted.clips, fitted.method) == (2, STATIC.method)
    assert fitted.seconds == pytest.approx(sum(map(len, clips)) / SAMPLE_RATE, abs=0.01)
    assert fitted.sha256 == hashlib.sha256(b"".join(one.tobytes() for one in clips)).hexdigest()
    graph = onnx_format.load(folder / "encoder.onnx").graph
    kinds = {node.op_type for node in graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert not kinds & {"DynamicQuantizeLinear", "MatMulInteger"}
    held = {one.name: onnx_format.numpy_helper.to_array(one) for one in graph.initializer}
    points = [held[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert points and all(one.dtype == np.int8 and not one.any() for one in points)


def test_without_speech_it_is_refused_with_what_to_give(
    tiny_en: BaseModel, onnx_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"int8_static.*--calibration FOLDER"):
        _built(tiny_en, "int8_static", tmp_path / "static", onnx_folder, [])


def test_speech_that_is_none_is_refused_by_its_number(
    tiny_en: BaseModel, onnx_folder: Path, calibration: list[Samples], tmp_path: Path
) -> None:
    clips = [calibration[0], np.full(16_000, np.nan, np.float32)]
    with pytest.raises(ValueError, match="clip 1 holds samples that are NaN"):
        _built(tiny_en, "int8_static", tmp_path / "static", onnx_folder, clips)


def _built(
    base: BaseModel,
    precision: str,
    folder: Path,
    exact: Path,
    clips: Sequence[Samples],
    recipe: Recipe = STATIC,
) -> Path:
    folder.mkdir()
    spec = EngineSpec(onnx.KIND, precision, 3000, "en")
    onnx.build(
        base.path, folder, spec, base.sha256, trailing_silence=0.5,
        calibration=clips, exact=exact, recipe=recipe,
    )  # fmt: skip
    return folder


def _heard(folder: Path, speech: Speech, threads: int) -> list[Prediction]:
    corpus, rows = speech
    return predict(load_engine(folder, threads), rows, corpus, batch_size=8)


def _compared(
    said: Sequence[Prediction], exactly: Sequence[Prediction], speech: Speech
) -> Comparison:
    report = accuracy_report(
        said, exactly, speech[1],
        candidate_name="a precision", baseline_name="float32", normaliser="whisper-english",
        language="en", confidence=0.95, resamples=1000, seed=7,
    )  # fmt: skip
    assert report.overall.comparison is not None
    return report.overall.comparison


def _prompts(cache: Path, start: int, most: int) -> list[tuple[Recording, Samples]]:
    """Every fourth prompt from there on, of 1 to 5 s."""
    found: list[tuple[Recording, Samples]] = []
    plan = Prompts("en").plan(Reach(cache, offline=False, timeout=60.0))
    for recording in plan.recordings[start::4]:
        assert isinstance(recording.audio, FileAudio)
        samples = decode(recording.audio.path)
        if SAMPLE_RATE <= len(samples) <= 5 * SAMPLE_RATE:
            found.append((recording, samples))
    return found[:most]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
