"""The conversion is exact: bit for bit in the weights, token for token in what models say."""

from __future__ import annotations

import gzip
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import decode
from data.features import WINDOW_FRAMES, log_mel
from data.fetch import fetch
from training.base_models import BaseModel, resolve
from training.conversion import convert
from training.ctranslate2_weights import read_variables, state_dict
from voiceforge.errors import IntegrityError, UsageError

HERE: dict[str, Any] = {"offline": False, "timeout": 10.0}


@pytest.fixture(scope="module")
def tiny(cache: Path) -> BaseModel:
    return resolve("whisper-tiny.en", cache=cache, **HERE)


@pytest.fixture(scope="module")
def original(cache: Path) -> Path:
    return fetch("whisper-tiny.en", cache=cache, **HERE)


def recordings(cache: Path, language: str, count: int) -> list[Path]:
    """Prompts of real people, spread over the whole set, three words to ten seconds each."""
    folder = fetch(f"prompts-{language}", cache=cache, **HERE)
    table = next(folder.rglob(f"core-sounds-{language}.txt.gz"))
    lines = gzip.decompress(table.read_bytes()).decode("utf-8-sig").splitlines()
    texts = dict(line.split(":", 1) for line in lines if ":" in line and line[0] != ";")
    voice = next((folder / "usr/share/asterisk/sounds").iterdir())
    found = [
        voice / f"{key}.g722"
        for key, text in sorted(texts.items())
        if len(text.split()) >= 3
        and (voice / f"{key}.g722").is_file()
        and (voice / f"{key}.g722").stat().st_size <= 10 * 8000  # G.722 is 8,000 bytes a second
    ]
    chosen = found[:: len(found) // count][:count]
    return sorted(chosen, key=lambda path: path.stat().st_size)  # batches of like length


def said_by_both(
    model: BaseModel, original: Path, clips: list[Path], prompt: list[str], threads: int
) -> list[tuple[list[int], list[int]]]:
    """Greedy text tokens of transformers on the converted model and CTranslate2 on the original."""
    import ctranslate2
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperTokenizer

    torch.set_num_threads(threads)
    whisper = WhisperForConditionalGeneration.from_pretrained(model.path).eval()
    tokenizer = WhisperTokenizer.from_pretrained(model.path)
    end = whisper.config.eos_token_id
    asked = {"language": prompt[1].strip("<|>"), "task": "transcribe"} if len(prompt) > 2 else {}
    reference = ctranslate2.models.Whisper(
        str(original), compute_type="float32", intra_threads=threads
    )
    start = tokenizer.convert_tokens_to_ids(prompt)
    pairs = []
    for at in range(0, len(clips), 10):
        mels = np.stack(
            [log_mel(decode(clip), model.n_mels, WINDOW_FRAMES) for clip in clips[at : at + 10]]
        )
        with torch.inference_mode():
            ours = whisper.generate(torch.from_numpy(mels), max_new_tokens=100, **asked).tolist()
        # CTranslate2 halves max_length: 200 allows 100 new tokens.
        theirs = reference.generate(
            ctranslate2.StorageView.from_array(mels),
            [start] * len(mels),
            beam_size=1,
            max_length=200,
        )
        for one, other in zip(ours, theirs, strict=True):
            text = [token for token in one if token < end]
            pairs.append((text, [token for token in other.sequences_ids[0] if token < end]))
    return pairs


def test_fifty_english_transcripts_equal_ctranslate2(
    cache: Path, tiny: BaseModel, original: Path, threads: int
) -> None:
    clips = recordings(cache, "en", 50)
    pairs = said_by_both(
        tiny, original, clips, ["<|startoftranscript|>", "<|notimestamps|>"], threads
    )
    assert len(pairs) == 50
    assert sum(len(ours) for ours, _ in pairs) > 300
    assert [ours for ours, _ in pairs] == [theirs for _, theirs in pairs]


def test_italian_transcripts_of_the_multilingual_model_equal_ctranslate2(
    cache: Path, threads: int
) -> None:
    model = resolve("whisper-base", cache=cache, **HERE)
    assert model.multilingual
    clips = recordings(cache, "it", 6)
    prompt = ["<|startoftranscript|>", "<|it|>", "<|transcribe|>", "<|notimestamps|>"]
    pairs = said_by_both(model, fetch("whisper-base", cache=cache, **HERE), clips, prompt, threads)
    assert sum(len(ours) for ours, _ in pairs) > 24
    assert [ours for ours, _ in pairs] == [theirs for _, theirs in pairs]


def test_the_multilingual_model_finds_the_language_itself(cache: Path) -> None:
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperTokenizer

    model = resolve("whisper-base", cache=cache, **HERE)
    whisper = WhisperForConditionalGeneration.from_pretrained(model.path).eval()
    tokenizer = WhisperTokenizer.from_pretrained(model.path)
    longest = max(recordings(cache, "it", 20), key=lambda path: path.stat().st_size)
    mel = torch.from_numpy(log_mel(decode(longest), 80, WINDOW_FRAMES))[None]
    found = whisper.detect_language(mel)
    assert tokenizer.convert_ids_to_tokens(found.tolist()) == ["<|it|>"]


@pytest.mark.parametrize("name", ["whisper-tiny.en", "whisper-base"])
def test_converting_back_gives_the_original_bits(name: str, cache: Path, tmp_path: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    model, source = resolve(name, cache=cache, **HERE), fetch(name, cache=cache, **HERE)
    TransformersConverter(str(model.path)).convert(str(tmp_path / "ct2"), quantization="float16")
    original, again = (
        read_variables(source / "model.bin"),
        read_variables(tmp_path / "ct2/model.bin"),
    )
    assert len(original) in (149, 215)  # 148 and 214 stored, one alias each
    for variable, array in original.items():
        assert again[variable].dtype == array.dtype, variable
        assert again[variable].tobytes() == array.tobytes(), variable


@pytest.mark.parametrize("name", ["whisper-tiny.en", "whisper-base"])
def test_transformers_finds_every_tensor_and_token(name: str, cache: Path) -> None:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    model = resolve(name, cache=cache, **HERE)
    whisper, info = WhisperForConditionalGeneration.from_pretrained(
        model.path, output_loading_info=True, local_files_only=True
    )
    assert not any(info.values())
    processor = WhisperProcessor.from_pretrained(model.path, local_files_only=True)
    assert len(processor.tokenizer) == whisper.config.vocab_size
    assert processor.feature_extractor.feature_size == model.n_mels
    no_times = whisper.generation_config.no_timestamps_token_id
    assert processor.tokenizer.convert_ids_to_tokens(no_times) == "<|notimestamps|>"
    times = processor.tokenizer.decode([no_times + 1, no_times + 51], decode_with_timestamps=True)
    assert times == "<|0.00|><|1.00|>"
    assert whisper.generation_config.is_multilingual is model.multilingual
    if model.multilingual:
        languages = whisper.generation_config.lang_to_id
        assert len(languages) == 99
        assert processor.tokenizer.convert_ids_to_tokens(languages["<|it|>"]) == "<|it|>"


def test_weights_cut_anywhere_are_refused(original: Path, tmp_path: Path) -> None:
    whole = (original / "model.bin").read_bytes()
    for size in (3, 20, 200, 40_000_000, len(whole) - 1):
        (tmp_path / "model.bin").write_bytes(whole[:size])
        with pytest.raises(IntegrityError, match=r"was cut"):
            read_variables(tmp_path / "model.bin")
    (tmp_path / "model.bin").write_bytes(whole + b"more")
    with pytest.raises(IntegrityError, match=r"bytes after its last variable"):
        read_variables(tmp_path / "model.bin")


def test_quantized_weights_are_refused(tiny: BaseModel, tmp_path: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(tiny.path)).convert(str(tmp_path / "int8"), quantization="int8")
    with pytest.raises(UsageError, match=r"stored as int8: the model is quantized"):
        state_dict(read_variables(tmp_path / "int8/model.bin"))


def test_bfloat16_weights_are_widened(tiny: BaseModel, tmp_path: Path) -> None:
    import torch
    from ctranslate2.converters import TransformersConverter
    from safetensors.torch import load_file

    TransformersConverter(str(tiny.path)).convert(str(tmp_path / "bf16"), quantization="bfloat16")
    tensors = state_dict(read_variables(tmp_path / "bf16/model.bin"))
    expected = load_file(tiny.path / "model.safetensors")["model.decoder.embed_tokens.weight"]
    actual = torch.from_numpy(tensors["model.decoder.embed_tokens.weight"])
    assert torch.equal(actual, expected.to(torch.bfloat16).float())


def test_a_key_bias_or_an_unknown_variable_is_no_whisper(original: Path) -> None:
    variables = read_variables(original / "model.bin")
    bias = "encoder/layer_0/self_attention/linear_0/bias"
    with pytest.raises(IntegrityError, match=r"gives keys a bias"):
        state_dict({**variables, bias: np.ones_like(variables[bias])})
    with pytest.raises(IntegrityError, match=r"unknown variables: encoder/extra"):
        state_dict({**variables, "encoder/extra": np.ones(3, np.float32)})
    del variables[bias]
    with pytest.raises(IntegrityError, match=r"lacks encoder/layer_0"):
        state_dict(variables)


def test_another_kind_of_model_or_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<IH", 6, 16) + b"TransformerSpec\0" + bytes(8))
    with pytest.raises(UsageError, match=r"is a CTranslate2 TransformerSpec"):
        read_variables(path)
    path.write_bytes(struct.pack("<I", 5))
    with pytest.raises(IntegrityError, match=r"binary version 5"):
        read_variables(path)


NAMES = st.sampled_from(["encoder/conv1/weight", "decoder/embeddings/weight", "x", "\ud800"])
VARIABLES = st.lists(
    st.tuples(
        NAMES,
        st.lists(st.integers(0, 5), max_size=4),
        st.integers(0, 7),
        st.integers(0, 40),
        st.binary(max_size=40),
    ),
    max_size=4,
)


@given(VARIABLES, st.lists(st.tuples(NAMES, NAMES), max_size=2), st.binary(max_size=3))
def test_damaged_weights_are_an_error_for_a_person(
    variables: list[tuple[str, list[int], int, int, bytes]],
    aliases: list[tuple[str, str]],
    rest: bytes,
) -> None:
    def text(name: str) -> bytes:
        raw = name.encode("utf-8", "surrogatepass")
        return struct.pack("<H", len(raw) + 1) + raw + b"\0"

    content = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, shape, kind, size, raw in variables:
        content += text(name) + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
        content += struct.pack("<BI", kind, size) + raw
    content += struct.pack("<I", len(aliases)) + b"".join(text(a) + text(b) for a, b in aliases)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(content + rest)
        with pytest.raises((IntegrityError, UsageError)):
            state_dict(read_variables(path))


def test_conversion_twice_gives_the_same_files(original: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        convert(original, tmp_path / name)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
