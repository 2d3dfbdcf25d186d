"""What a caller may ask of a decoding, on every backend: rules, prompts, long recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import decode
from evaluation.metrics import word_errors
from evaluation.text import normalise
from serving.engines import load_engine, onnx
from serving.engines.contracts import DecodingOptions, Engine, EngineSpec, Fallback, Samples
from serving.engines.whisper import WhisperEngine
from serving.longform import AnyLength, transcribe
from training.base_models import BaseModel
from voiceforge.errors import GivenUpError

pytestmark = pytest.mark.system  # models are exported, minutes of speech are heard

RATE = 16_000
DOUBTS_ALL = Fallback(mean_logprob=-1e-6, no_speech=1.0, temperatures=(0.4, 1.0))
WORDS = DecodingOptions(word_times=True)


@pytest.fixture(scope="module")
def onnx_engine(
    tiny_en: BaseModel, tmp_path_factory: pytest.TempPathFactory, threads: int
) -> Engine:
    folder = tmp_path_factory.mktemp("onnx") / "float32"
    folder.mkdir()
    spec = EngineSpec(onnx.KIND, "float32", 3000, "en")
    onnx.build(tiny_en.path, folder, spec, tiny_en.sha256, trailing_silence=0.5)
    return load_engine(folder, threads)


@pytest.fixture(scope="module")
def ctranslate2_engine(exact_folder: Path, threads: int) -> Engine:
    return load_engine(exact_folder, threads)


@pytest.fixture(params=["ctranslate2", "onnx"])
def backend(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture(scope="module")
def noise() -> Samples:
    return np.random.default_rng(0).normal(0.0, 0.05, 10 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def long(clips: dict[str, Samples]) -> Samples:
    """Eight prompts in a quiet room, 4 s of silence before each, a minute."""
    pause = np.zeros(4 * RATE, np.float32)
    whole = np.concatenate([part for clip in [*clips.values()] * 2 for part in (pause, clip)])
    return whole + np.random.default_rng(0).normal(0.0, 1e-3, len(whole)).astype(np.float32)


def test_noise_is_silence_by_the_rules_and_speech_stays(
    backend: Engine, clips: dict[str, Samples], noise: Samples
) -> None:
    given = [clips["agent-pass"], noise]
    greedy = backend.transcribe(given, WORDS)
    ruled = backend.transcribe(given, replace(WORDS, fallback=Fallback()))
    assert greedy[1].text
    assert (ruled[1].text, ruled[1].words, ruled[1].token_logprobs) == ("", (), ())
    assert ruled[0] == greedy[0]


def test_only_what_is_doubted_is_decoded_again_and_together(
    backend: Any, clips: dict[str, Samples], noise: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, asked = backend.generate, []

    def watched(encoded: Any, *given: Any, **named: Any) -> Any:
        found = generate(encoded, *given, **named)
        asked.append((len(found), named.get("sampling")))
        return found

    monkeypatch.setattr(backend, "generate", watched)
    rules = Fallback(no_speech=1.0, mean_logprob=-0.4, temperatures=(0.2,), seed=3)
    backend.transcribe(
        [noise, clips["agent-pass"], noise[: 8 * RATE]], DecodingOptions(fallback=rules)
    )
    (first, greedy), (again, sampled) = asked
    assert (first, greedy, again) == (3, None, 2)
    assert (sampled.temperature, sampled.seed) == (0.2, 3)


def test_samples_are_drawn_again_alike(backend: Engine, clips: dict[str, Samples]) -> None:
    given = list(clips.values())

    def said(seed: int) -> Sequence[Any]:
        rules = replace(DOUBTS_ALL, seed=seed, temperatures=(1.0,), compression_ratio=0.0)
        return backend.transcribe(given, replace(WORDS, fallback=rules))

    assert said(1) == said(1)
    for one in said(2):
        assert len(one.words) == len(one.text.split())


def test_a_prompt_teaches_a_spelling_and_an_empty_one_is_none(
    backend: Engine, prompts_folder: Path
) -> None:
    clip = decode(prompts_folder / "demo-nogo.g722")
    plain, empty, named = (
        backend.transcribe([clip], DecodingOptions(prompt=prompt))[0]
        for prompt in ("", "  ", "Digium, the company that makes Asterisk.")
    )
    assert plain == empty
    assert "Digium demonstration asterisk server" in plain.text.replace("Demo", "demo")
    assert "Digium demonstration Asterisk server" in named.text


def test_an_overlong_prompt_keeps_its_last_tokens(backend: Any, prompts_folder: Path) -> None:
    clip = decode(prompts_folder / "demo-nogo.g722")
    tail = "Digium, the company that makes Asterisk."
    long = "Please hold the line while we connect you. " * 60 + tail
    ids = backend.tokens.prompt(long, "en")
    start = backend.tokens.prompt("", "en")
    previous, *kept = ids[: -len(start)]
    assert previous == backend.tokens.special("<|startofprev|>")
    # OpenAI keeps 223, n_ctx // 2 - 1; the opening is taken off, so that 224 new ones always fit.
    assert len(kept) == 448 // 2 - 1 - len(start)
    every = backend.tokens._tokenizer.encode(" " + long, add_special_tokens=False).ids
    assert kept == every[-len(kept) :]
    (heard,) = backend.transcribe([clip], DecodingOptions(prompt=long))
    assert "Asterisk server" in heard.text


def test_a_batch_is_bounded_by_frames(
    backend: WhisperEngine, clips: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, shapes = backend.encode, []

    def watched(mels: Any) -> Any:
        shapes.append(mels.shape)
        return encode(mels)

    monkeypatch.setattr(backend, "encode", watched)
    monkeypatch.setattr("serving.engines.batching.MOST_FRAMES", 2 * 3000)
    heard = backend.transcribe([clips["agent-pass"]] * 5, DecodingOptions(max_new_tokens=4))
    assert [shape[0] for shape in shapes] == [2, 2, 1]
    assert len({one.text for one in heard}) == 1


@pytest.mark.parametrize("segmentation", ["speech", "quiet"])
def test_backends_place_the_words_of_a_long_recording_alike(
    ctranslate2_engine: Engine, onnx_engine: Engine, long: Samples, segmentation: Any
) -> None:
    ours, theirs = (
        transcribe(engine, long, WORDS, segmentation=segmentation)
        for engine in (onnx_engine, ctranslate2_engine)
    )
    assert ours.text == theirs.text
    for one, other in zip(ours.words, theirs.words, strict=True):
        assert one.start == pytest.approx(other.start, abs=0.1)
        assert one.end == pytest.approx(other.end, abs=0.1)


def test_speech_is_heard_without_its_pauses_and_placed_among_them(
    ctranslate2_engine: Engine, long: Samples, clips: dict[str, Samples], texts: dict[str, str]
) -> None:
    heard = transcribe(ctranslate2_engine, long, WORDS)
    said = normalise(heard.text, "whisper-english", "en")
    reference = " ".join([*texts.values()] * 2)
    assert word_errors([reference], [said]).rate < 0.1
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts)
    at = 0.0
    for clip in [*clips.values()] * 2:
        begin, end = at + 4.0, at + 4.0 + len(clip) / RATE
        inside = [w for w in heard.words if begin - 0.3 <= w.start and w.end <= end + 0.3]
        assert len(inside) >= 4
        # A pause holds no word, but for the half second that is kept of it.
        assert not [w for w in heard.words if w.start > at + 0.8 and w.end < begin - 0.5]
        at = end


def test_silence_of_minutes_is_an_empty_text(ctranslate2_engine: Engine) -> None:
    silence = np.zeros(120 * RATE, np.float32)
    heard = transcribe(ctranslate2_engine, silence, WORDS)
    assert (heard.text, heard.words, heard.no_speech_probability) == ("", (), 1.0)


def test_evaluations_hear_every_sample_and_short_clips_whole(
    ctranslate2_engine: Engine, long: Samples, clips: dict[str, Samples]
) -> None:
    short = clips["agent-pass"]
    plain = DecodingOptions()
    first, second = AnyLength(ctranslate2_engine).transcribe([short, long], plain)
    assert first == ctranslate2_engine.transcribe([short], plain)[0]
    assert second == transcribe(ctranslate2_engine, long, plain, segmentation="quiet")


def test_a_long_recording_tells_how_far_it_is_and_can_be_given_up(
    ctranslate2_engine: Engine, long: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.longform.AT_ONCE", 1)
    told: list[tuple[float, float]] = []
    with pytest.raises(GivenUpError):
        transcribe(
            ctranslate2_engine,
            long,
            DecodingOptions(),
            tell=lambda heard, whole: told.append((heard, whole)),
            cancelled=lambda: bool(told),
        )
    ((heard, whole),) = told
    assert 0 < heard < whole == len(long) / RATE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_long_recording_that_holds_no_number_is_refused(
    ctranslate2_engine: Engine, long: Samples, value: float
) -> None:
    broken = long.copy()
    broken[1000] = value
    with pytest.raises(ValueError, match="NaN or infinit"):
        transcribe(ctranslate2_engine, broken)
