"""Whisper on short mels: the same network as transformers', the same decoding, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, WhisperForConditionalGeneration

from data.audio import read_flac
from data.tables import read_utterances
from training.clips import make_mels
from training.context import greedy, load_model, prompt_tokens
from voiceforge.errors import UsageError


@pytest.fixture(scope="module")
def model(tiny_en: Path) -> Any:
    return load_model(tiny_en)


@pytest.fixture(scope="module")
def tokenizer(tiny_en: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_en, local_files_only=True)


def mels(corpus: Path, frames: int, count: int = 4) -> torch.Tensor:
    rows = read_utterances(corpus / "utterances.parquet")[:count]
    clips = [read_flac(corpus / row.audio) for row in rows]
    return torch.from_numpy(make_mels(clips, frames, 80))


def test_on_the_full_window_it_is_transformers_encoder(
    model: Any, tiny_en: Path, prompts_corpus: Path
) -> None:
    reference = WhisperForConditionalGeneration.from_pretrained(tiny_en).eval()
    full = mels(prompts_corpus, 3000, count=2)
    with torch.no_grad():
        expected = reference.model.encoder(full).last_hidden_state
        got = model.model.encoder(full).last_hidden_state
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_a_short_mel_gives_half_as_many_states(model: Any, prompts_corpus: Path) -> None:
    with torch.no_grad():
        states = model.model.encoder(mels(prompts_corpus, 420)).last_hidden_state
    assert states.shape == (4, 210, 384)


def test_greedy_is_whispers_own_generation(
    model: Any, tokenizer: Any, tiny_en: Path, prompts_corpus: Path
) -> None:
    full = mels(prompts_corpus, 3000)
    reference = WhisperForConditionalGeneration.from_pretrained(tiny_en).eval()
    expected = tokenizer.batch_decode(
        reference.generate(full, max_new_tokens=60), skip_special_tokens=True
    )
    got = greedy(model, full, prompt_tokens(model, tokenizer, "en"), 60)
    assert [tokenizer.decode(row) for row in got] == expected
    assert all(len(text.split()) > 1 for text in expected)


def test_greedy_stops_at_its_bound(model: Any, tokenizer: Any, prompts_corpus: Path) -> None:
    rows = greedy(model, mels(prompts_corpus, 3000), prompt_tokens(model, tokenizer, "en"), 2)
    assert [len(row) for row in rows] == [2, 2, 2, 2]


def test_prompts_of_both_kinds_of_model(model: Any, tokenizer: Any, cache: Path) -> None:
    from training.base_models import resolve

    words = tokenizer.convert_ids_to_tokens(prompt_tokens(model, tokenizer, "en"))
    assert words == ["<|startoftranscript|>", "<|notimestamps|>"]
    folder = resolve("whisper-base", cache=cache, offline=False, timeout=30.0).path
    multilingual = load_model(folder)
    tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    words = tokens.convert_ids_to_tokens(prompt_tokens(multilingual, tokens, "it"))
    assert words == ["<|startoftranscript|>", "<|it|>", "<|transcribe|>", "<|notimestamps|>"]
    with pytest.raises(UsageError, match="'xx'"):
        prompt_tokens(multilingual, tokens, "xx")


def test_an_english_model_refuses_other_languages(model: Any, tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="English only, and the language is 'it'"):
        prompt_tokens(model, tokenizer, "it")
