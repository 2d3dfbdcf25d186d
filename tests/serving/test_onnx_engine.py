"""ONNX Runtime beside CTranslate2, which runs the same weights in another way."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest

from evaluation.metrics import word_errors
from evaluation.text import normalise
from serving.bento import requirements
from serving.engines import load_engine, onnx
from serving.engines.contracts import DecodingOptions, Engine, EngineSpec, Samples
from training.base_models import BaseModel
from voiceforge.errors import IntegrityError
from voiceforge.files import read_json, sha256_folder, write_json

pytestmark = pytest.mark.system  # models are exported, streams take their time

Clips = dict[str, Samples]


@pytest.fixture(scope="module")
def float32_folder(onnx_folder: Path) -> Path:
    return onnx_folder


@pytest.fixture(scope="module")
def float32(float32_folder: Path, threads: int) -> Engine:
    return load_engine(float32_folder, threads)


@pytest.fixture(scope="module")
def exact(exact_folder: Path, threads: int) -> Engine:
    return load_engine(exact_folder, threads)


def test_float32_says_what_ctranslate2_says_with_its_probabilities(
    float32: Engine, exact: Engine, clips: Clips
) -> None:
    ours = float32.transcribe(list(clips.values()), DecodingOptions())
    theirs = exact.transcribe(list(clips.values()), DecodingOptions())
    for one, other in zip(ours, theirs, strict=True):
        assert one.text == other.text
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=2e-3)
        assert one.no_speech_probability == pytest.approx(other.no_speech_probability, abs=1e-3)


def test_words_lie_where_ctranslate2_puts_them(
    float32: Engine, exact: Engine, speech: Samples
) -> None:
    options = DecodingOptions(word_times=True)
    (ours,), (theirs,) = (one.transcribe([speech], options) for one in (float32, exact))
    assert [word.text for word in ours.words] == [word.text for word in theirs.words]
    for one, other in zip(ours.words, theirs.words, strict=True):
        assert one.start == pytest.approx(other.start, abs=0.1)
        assert one.end == pytest.approx(other.end, abs=0.1)
        assert one.confidence == pytest.approx(other.confidence, abs=0.01)


def test_a_beam_search_finds_what_ctranslate2_finds(
    float32: Engine, exact: Engine, clips: Clips
) -> None:
    options = DecodingOptions(beam_size=5)
    ours, theirs = (one.transcribe(list(clips.values()), options) for one in (float32, exact))
    assert [one.text for one in ours] == [one.text for one in theirs]
    assert all(len(one.token_logprobs) > 3 for one in ours)


def test_clips_at_their_own_length_and_alone_say_the_same(
    float32_folder: Path, threads: int, clips: Clips
) -> None:
    engine = load_engine(float32_folder, threads)
    engine.description = dataclasses.replace(engine.description, minimum_mel_frames=100)
    names = ["agent-pass", "agent-newlocation"]
    together = engine.transcribe([clips[name] for name in names], DecodingOptions())
    for name, one in zip(names, together, strict=True):
        (alone,) = engine.transcribe([clips[name]], DecodingOptions())
        texts = [normalise(said.text, "whisper-english", "en") for said in (one, alone)]
        assert word_errors(texts[:1], texts[1:]).rate <= 0.5


def test_new_tokens_are_bounded_and_a_prompt_is_not_one_of_them(
    float32: Engine, clips: Clips
) -> None:
    clip = clips["agent-alreadyon"]
    for prompt in ("", "Asterisk, voicemail and the pound key."):
        few = float32.transcribe([clip], DecodingOptions(max_new_tokens=5, prompt=prompt))[0]
        assert len(few.token_logprobs) == 5


def test_int8_hears_telephone_prompts_in_less_than_half_the_size(
    tiny_en: BaseModel, tmp_path: Path, float32_folder: Path, clips: Clips, texts: dict[str, str],
    threads: int,
) -> None:  # fmt: skip
    folder = _built(tiny_en, "int8", tmp_path / "int8", exact=float32_folder)
    heard = load_engine(folder, threads).transcribe(list(clips.values()), DecodingOptions())
    hypotheses = [normalise(one.text, "whisper-english", "en") for one in heard]
    assert word_errors([texts[name] for name in clips], hypotheses).rate <= 0.1
    assert _size(folder) < 0.5 * _size(float32_folder)


def test_silence_is_less_like_speech_than_speech_is(float32: Engine, clips: Clips) -> None:
    silence = np.zeros(32_000, np.float32)
    quiet, spoken = float32.transcribe([silence, clips["agent-pass"]], DecodingOptions())
    assert quiet.no_speech_probability > spoken.no_speech_probability


@pytest.mark.parametrize("damage", ["cut", "foreign", "missing"])
def test_a_damaged_folder_is_refused_and_the_file_named(
    float32_folder: Path, tmp_path: Path, threads: int, damage: str
) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(float32_folder, folder)
    graph = folder / "decoder.onnx"
    match damage:
        case "cut":
            graph.write_bytes(graph.read_bytes()[:1000])
        case "foreign":
            (folder / "model.bin").write_bytes(b"x")
        case "missing":
            graph.unlink()
    with pytest.raises(IntegrityError, match="model.bin" if damage == "foreign" else "decoder"):
        load_engine(folder, threads)


@pytest.mark.parametrize("damage", ["cut", "newer", "swapped", "rules"])
def test_a_file_that_cannot_run_is_named_though_engine_json_lists_it(
    float32_folder: Path, tmp_path: Path, threads: int, damage: str
) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(float32_folder, folder)
    decoder, encoder = folder / "decoder.onnx", folder / "encoder.onnx"
    match damage:
        case "cut":
            decoder.write_bytes(decoder.read_bytes()[:100_000])
        case "newer":
            graph = onnx_format.load(decoder)
            graph.opset_import[0].version = 999
            onnx_format.save(graph, decoder)
        case "swapped":
            shutil.copyfile(encoder, decoder)
        case "rules":
            (folder / "decoding.json").write_text('{"layers": 4}')
    built = read_json(folder / "engine.json")
    files = {name: sha for name, sha in sha256_folder(folder).items() if name != "engine.json"}
    write_json(folder / "engine.json", built | {"files": files})
    with pytest.raises(IntegrityError, match=r"decoding\.json" if damage == "rules" else "decoder"):
        load_engine(folder, threads)


def test_an_engine_of_another_kind_is_not_run(exact_folder: Path) -> None:
    with pytest.raises(IntegrityError, match=r"decoding\.json|ctranslate2"):
        onnx.load(exact_folder, threads=1)


def test_no_clips_no_samples_and_one_sample_are_heard(float32: Engine) -> None:
    assert float32.transcribe([], DecodingOptions()) == []
    nothing, hardly = float32.transcribe(
        [np.zeros(0, np.float32), np.zeros(1, np.float32)], DecodingOptions()
    )
    assert (nothing.text, nothing.no_speech_probability) == ("", 1.0)
    assert np.isfinite(hardly.token_logprobs).all()


def test_not_a_number_is_refused(float32: Engine) -> None:
    with pytest.raises(ValueError, match="clip 0 holds samples that are NaN"):
        float32.transcribe([np.full(16_000, np.nan, np.float32)], DecodingOptions())


def test_graphs_say_what_wrote_them(float32_folder: Path) -> None:
    decoding = read_json(float32_folder / "decoding.json")
    for name in decoding["graphs"]:
        graph = onnx_format.load(float32_folder / name, load_external_data=False)
        assert decoding["producer"] == f"{graph.producer_name} {graph.producer_version}"
        assert decoding["opset"] == graph.opset_import[0].version


def _built(base: BaseModel, precision: str, folder: Path, exact: Path | None = None) -> Path:
    folder.mkdir()
    spec = EngineSpec(onnx.KIND, precision, 3000, "en")
    onnx.build(base.path, folder, spec, base.sha256, trailing_silence=0.5, exact=exact)
    return folder


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_its_service_imports_nothing_that_its_bento_does_not_carry(
    float32_folder: Path, prompts_folder: Path
) -> None:
    assert "scipy" in requirements(float32_folder)
    program = f"""
import json, sys
from pathlib import Path
import serving.service
from serving.engines import load_engine
from serving.transcription import transcribe_file
engine = load_engine(Path({str(float32_folder)!r}), 1)
assert transcribe_file(engine, Path({str(prompts_folder / "vm-goodbye.g722")!r})).words
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert "scipy" in imported
    assert not imported & {"torch", "transformers", "onnx", "onnxscript", "training", "lifecycle"}


def test_a_graph_does_not_tell_where_it_was_exported(float32_folder: Path) -> None:
    here = str(Path(onnx.__file__).parent).encode()
    for graph in float32_folder.glob("*.onnx"):
        content = graph.read_bytes()
        assert here not in content and b"export.py" not in content
        assert b"site-packages" not in content
