"""The engine against transformers, which runs the same weights in another way."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import decode
from data.features import log_mel
from data.fetch import fetch
from evaluation.metrics import word_errors
from evaluation.text import normalise
from serving.engines import engine_sha256, load_engine
from serving.engines.batching import most_tokens
from serving.engines.contracts import DecodingOptions, Engine, EngineSpec, Samples
from serving.engines.ctranslate2 import build
from serving.engines.description import read_description, write_description
from training.base_models import BaseModel, resolve
from voiceforge.errors import IntegrityError, UsageError

Clips = dict[str, Samples]


@pytest.fixture(scope="module")
def reference(tiny_en: BaseModel) -> Any:
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration.from_pretrained(tiny_en.path).eval()


@pytest.fixture(scope="module")
def exact(exact_folder: Path, threads: int) -> Engine:
    return load_engine(exact_folder, threads)


def test_int8_hears_telephone_prompts(engine: Engine, clips: Clips, texts: dict[str, str]) -> None:
    heard = engine.transcribe(list(clips.values()), DecodingOptions())
    hypotheses = [normalise(transcript.text, "whisper-english", "en") for transcript in heard]
    assert word_errors([texts[name] for name in clips], hypotheses).rate <= 0.1


def test_float32_greedy_equals_transformers_tokens_and_probabilities(
    exact: Engine, exact_folder: Path, reference: Any, clips: Clips
) -> None:
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(exact_folder / "tokenizer.json"))
    suppressed = reference.generation_config.suppress_tokens
    for clip in list(clips.values())[:2]:
        transcript = exact.transcribe([clip], DecodingOptions())[0]
        mel = torch.from_numpy(log_mel(clip, 80, 3000))[None]
        with torch.no_grad():
            generated = reference.generate(mel, return_timestamps=False, num_beams=1)[0].tolist()
        ids = [token for token in generated if token < 50256]
        assert transcript.text == tokenizer.decode(ids).strip()

        start = [50257, 50362]
        with torch.no_grad():
            logits = reference(
                input_features=mel, decoder_input_ids=torch.tensor([[*start, *ids]])
            ).logits[0]
        logits[:, suppressed] = -torch.inf
        logits[1, reference.generation_config.begin_suppress_tokens] = -torch.inf
        expected = logits.log_softmax(-1)[range(1, 1 + len(ids)), ids]
        assert transcript.token_logprobs == pytest.approx(expected.tolist(), abs=2e-3)


def test_a_batch_says_what_single_clips_say(engine: Engine, clips: Clips) -> None:
    options = DecodingOptions(word_times=True)
    batch = engine.transcribe(list(clips.values()), options)
    assert batch == [engine.transcribe([clip], options)[0] for clip in clips.values()]


def test_results_come_in_the_order_of_the_clips(engine: Engine, clips: Clips) -> None:
    forward = engine.transcribe(list(clips.values()), DecodingOptions())
    backward = engine.transcribe(list(clips.values())[::-1], DecodingOptions())
    assert [t.text for t in backward] == [t.text for t in forward][::-1]


def test_word_times_follow_the_speech(engine: Engine, clips: Clips) -> None:
    clip = clips["agent-alreadyon"]
    lead = np.zeros(24_000, np.float32)
    options = DecodingOptions(word_times=True)
    plain = engine.transcribe([clip], options)[0]
    later = engine.transcribe([np.concatenate([lead, clip])], options)[0]
    assert " ".join(word.text for word in plain.words) == plain.text
    assert [word.text for word in later.words] == [word.text for word in plain.words]
    shifts = [b.end - a.end for a, b in zip(plain.words, later.words, strict=True)]
    assert np.median(shifts) == pytest.approx(1.5, abs=0.15)
    for word in plain.words:
        assert 0.0 <= word.start <= word.end <= len(clip) / 16_000
        assert 0.0 < word.confidence <= 1.0


def test_a_length_matched_engine_encodes_the_clip_and_not_thirty_seconds(
    engine_folder: Path, clips: Clips, tmp_path: Path
) -> None:
    shutil.copytree(engine_folder, tmp_path / "engine")
    description = dataclasses.replace(read_description(engine_folder), minimum_mel_frames=100)
    write_description(tmp_path / "engine", description)
    matched: Any = load_engine(tmp_path / "engine", 1)
    model, shapes = matched._model, []

    class Watched:
        generate, align = model.generate, model.align

        @staticmethod
        def encode(mels: Any) -> Any:
            shapes.append(tuple(mels.shape))
            return model.encode(mels)

    matched._model = Watched
    short, long = clips["all-circuits-busy-now"], clips["agent-alreadyon"]
    heard = matched.transcribe(
        [short, long, short[:-800]], DecodingOptions(max_new_tokens=8, word_times=True)
    )
    # 1.80 s and 5.52 s, each with half a second of silence, in steps of 0.2 s.
    assert shapes == [(2, 80, 240), (1, 80, 620)]
    for transcript, clip in zip(heard, [short, long, short[:-800]], strict=True):
        assert all(word.end <= len(clip) / 16_000 + 0.01 for word in transcript.words)


def test_a_decoder_that_repeats_itself_is_stopped_and_asked_again(
    engine_folder: Path, prompts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base model that hears no padding is such a decoder: it loops on every other prompt."""
    shutil.copytree(engine_folder, tmp_path / "engine")
    description = dataclasses.replace(
        read_description(engine_folder), minimum_mel_frames=100, trailing_silence=0.5
    )
    write_description(tmp_path / "engine", description)
    cut = load_engine(tmp_path / "engine", 1)
    names = [
        "confbridge-mute-in",
        "digits/0",
        "dir-multi3",
        "vm-from-phonenumber",
        "vm-leavemsg",
        "vm-deleted",
    ]
    clips = [decode(prompts_folder / f"{name}.g722") for name in names]
    heard = cut.transcribe(clips)
    for transcript, clip in zip(heard, clips, strict=True):
        assert len(transcript.token_logprobs) <= most_tokens(len(clip))
        assert all(logprob <= 0.0 for logprob in transcript.token_logprobs)

    monkeypatch.setattr("serving.engines.whisper.most_tokens", lambda samples: 1000)
    unbounded = cut.transcribe(clips)
    said = [len(transcript.token_logprobs) for transcript in unbounded]
    looped = [n > most_tokens(len(clip)) for n, clip in zip(said, clips, strict=True)]
    assert any(looped)
    for loops, before, after in zip(looped, unbounded, heard, strict=True):
        if loops:  # some of them for ever, some come to an end by themselves
            assert len(after.text) < len(before.text) / 4
        else:
            assert after.text == before.text
            assert after.token_logprobs == pytest.approx(before.token_logprobs, abs=1e-3)


@pytest.mark.parametrize("limit", [1, 5])
def test_max_new_tokens_counts_new_tokens(engine: Engine, clips: Clips, limit: int) -> None:
    clip = clips["agent-alreadyon"]
    cut = engine.transcribe([clip], DecodingOptions(max_new_tokens=limit))[0]
    whole = engine.transcribe([clip], DecodingOptions())[0]
    assert len(cut.token_logprobs) == limit
    assert whole.text.startswith(cut.text)


def test_a_long_prompt_leaves_room_for_the_whole_text(engine: Engine, clips: Clips) -> None:
    prompt = "Please enter your agent number, followed by the pound key. " * 60
    clip = clips["agent-alreadyon"]
    heard = engine.transcribe([clip], DecodingOptions(prompt=prompt, max_new_tokens=224))[0]
    assert "followed by the pound key" in heard.text


def test_a_beam_search_has_probabilities_too(engine: Engine, clips: Clips) -> None:
    heard = engine.transcribe([clips["agent-pass"]], DecodingOptions(beam_size=3))[0]
    assert len(heard.token_logprobs) >= 8
    assert all(-5.0 < logprob <= 0.0 for logprob in heard.token_logprobs)


def test_a_clip_without_samples_is_silence(engine: Engine, clips: Clips) -> None:
    empty, heard = engine.transcribe(
        [np.zeros(0, np.float32), clips["all-circuits-busy-now"]], DecodingOptions(word_times=True)
    )
    assert (empty.text, empty.words, empty.token_logprobs) == ("", (), ())
    assert empty.no_speech_probability == 1.0
    assert "circuits" in heard.text
    assert engine.transcribe([], DecodingOptions()) == []


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (np.zeros(480_001, np.float32), "at most 30 s"),
        (np.array([0.0, np.nan], np.float32), "NaN or infinite"),
        (np.array([np.inf, 0.0], np.float32), "NaN or infinite"),
        (np.zeros((2, 100), np.float32), "mono float32"),
        (np.zeros(100, np.float64), "mono float32"),
    ],
)
def test_what_is_no_clip_is_refused(engine: Engine, clip: Samples, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        engine.transcribe([clip], DecodingOptions())


@pytest.mark.parametrize("limit", [0, 225])
def test_more_tokens_than_the_decoder_has_are_refused(engine: Engine, limit: int) -> None:
    with pytest.raises(ValueError, match="max_new_tokens"):
        engine.transcribe([], DecodingOptions(max_new_tokens=limit))


def test_a_multilingual_engine_writes_its_language(
    cache: Path, tmp_path: Path, threads: int
) -> None:
    base = resolve("whisper-base", cache=cache, offline=False, timeout=60.0)
    spec = EngineSpec("ctranslate2", "int8", 3000, "it")
    description = build(base.path, tmp_path / "it", spec, base.sha256, trailing_silence=0.0)
    assert (description.multilingual, description.n_mels) == (True, 80)
    folder = fetch("prompts-it", cache=cache, offline=False, timeout=60.0)
    clip = decode(next(folder.rglob("vm-opts.g722")))
    heard = load_engine(tmp_path / "it", threads).transcribe(
        [clip], DecodingOptions(word_times=True)
    )[0]
    assert heard.language == "it"
    assert " ".join(word.text for word in heard.words) == heard.text
    assert {"premi", "per", "la"} & set(normalise(heard.text, "whisper-basic", "it").split())


def test_an_english_model_refuses_another_language(engine_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(engine_folder, tmp_path / "engine")
    description = read_description(engine_folder)
    write_description(tmp_path / "engine", dataclasses.replace(description, language="it"))
    with pytest.raises(UsageError, match="English only"):
        load_engine(tmp_path / "engine", 1)


def test_the_description_names_what_was_built(engine_folder: Path, tiny_en: BaseModel) -> None:
    description = read_description(engine_folder)
    assert description.source_sha256 == tiny_en.sha256
    assert (description.precision, description.multilingual) == ("int8", False)
    assert set(description.files) == {
        "config.json", "model.bin", "tokenizer.json", "vocabulary.json"
    }  # fmt: skip
    assert set(description.tool_versions) == {"ctranslate2", "transformers"}


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_an_engine_that_was_touched_is_not_loaded(
    engine_folder: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(engine_folder, folder)
    if damage == "changed":
        content = bytearray((folder / "model.bin").read_bytes())
        content[1_000_000] ^= 1
        (folder / "model.bin").write_bytes(content)
    elif damage == "missing":
        (folder / "vocabulary.json").unlink()
    else:
        (folder / "extra.bin").write_bytes(b"x")
    with pytest.raises(IntegrityError, match="cannot be trusted"):
        load_engine(folder, 1)


def test_a_folder_without_an_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no engine\.json, so it is no engine"):
        load_engine(tmp_path, 1)
    (tmp_path / "engine.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"does not describe an engine .* build the engine"):
        load_engine(tmp_path, 1)
    (tmp_path / "engine.json").write_text('{"kind": "ctranslate2"}')
    with pytest.raises(IntegrityError, match="does not describe an engine"):
        load_engine(tmp_path, 1)


def test_the_identity_ignores_what_was_measured_and_sees_what_decodes(
    engine_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(engine_folder, folder)
    identity, description = engine_sha256(folder), read_description(folder)
    write_description(folder, dataclasses.replace(description, tool_versions={"ctranslate2": "9"}))
    assert engine_sha256(folder) == identity
    write_description(folder, dataclasses.replace(description, trailing_silence=0.6))
    assert engine_sha256(folder) != identity


def test_building_from_what_is_no_model_says_so(tmp_path: Path) -> None:
    spec = EngineSpec("ctranslate2", "int8", 3000, "en")
    with pytest.raises(UsageError, match=r"no model\.safetensors"):
        build(tmp_path, tmp_path / "out", spec, "0" * 64, trailing_silence=0.0)
    with pytest.raises(UsageError, match="int3"):
        build(
            tmp_path,
            tmp_path / "out",
            dataclasses.replace(spec, precision="int3"),
            "0" * 64,
            trailing_silence=0.0,
        )
