"""Each ability on whisper-tiny.en, which has it, and on a copy from which it was taken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from data.audio import read_flac
from data.tables import read_utterances
from training import abilities
from training.abilities import AbilitySpeech, measure_abilities
from training.ability_results import Item, Measured, compare
from training.alignment import Transcribed
from training.formatting import judged_words
from voiceforge.errors import UsageError

TOKENS = "model.decoder.embed_tokens.weight"


@pytest.fixture(scope="module")
def speech(tiny_en: Path, prompts_corpus: Path) -> AbilitySpeech:
    rows = [row for row in read_utterances(prompts_corpus / "utterances.parquet")
            if row.split == "train"]  # fmt: skip
    clips = [Transcribed(read_flac(prompts_corpus / row.audio), row.text) for row in rows[:3]]
    return AbilitySpeech.of(tiny_en, clips, language="en", normaliser="whisper-english")


@pytest.fixture()
def broken(tiny_en: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    def copy(change: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / "broken"
        shutil.copytree(tiny_en, folder)
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return copy


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abilities, "NAMES", abilities.NAMES[:2])
    monkeypatch.setattr(abilities, "_SOUND_SECONDS", (2.0,))
    monkeypatch.setattr(abilities, "_SOUND_LEVELS", (-40.0,))


def measured(folder: Path, speech: AbilitySpeech, ability: str) -> Measured:
    (one,) = measure_abilities(folder, speech, abilities=[ability])
    assert one.chances > 0
    return one


def no_times(tensors: dict[str, Any]) -> None:
    rows = tensors[TOKENS]
    rows[50363:] = rows[50363:].flip(0).clone()


def no_start_of_silence(tensors: dict[str, Any]) -> None:
    tensors[TOKENS][50361] *= -1  # <|nospeech|> is never likely, nor is the end
    tensors[TOKENS][50256] *= -1


def no_end(tensors: dict[str, Any]) -> None:
    tensors[TOKENS][50256] *= 0.2


def no_past(tensors: dict[str, Any]) -> None:
    """The decoder no longer looks back, and so at no prompt."""
    for layer in range(4):
        tensors[f"model.decoder.layers.{layer}.self_attn.out_proj.weight"].zero_()


@pytest.mark.parametrize(
    ("ability", "take", "at_most", "at_least"),
    [
        ("timestamps", no_times, 0.3, 0.7),
        ("prompting", no_past, 0.5, 0.9),
        ("silence", no_start_of_silence, 0.5, 0.9),
        ("window", no_past, 0.2, 0.5),
        ("half sentences", no_end, 0.4, 0.6),
    ],
)
def test_the_base_has_an_ability_and_a_copy_without_it_has_not(
    tiny_en: Path,
    speech: AbilitySpeech,
    broken: Callable[[Callable[[dict[str, Any]], None]], Path],
    ability: str,
    take: Callable[[dict[str, Any]], None],
    at_most: float,
    at_least: float,
) -> None:
    before = measured(tiny_en, speech, ability)
    after = measured(broken(take), speech, ability)
    assert before.rate <= at_most
    assert after.rate >= at_least
    if ability == "timestamps":
        assert before.figures["median error of the last end, s"] < 0.4
    if ability == "silence":
        # A model may not buy silence by hearing nobody anywhere.
        assert before.figures["the same on speech"] < 0.3
        assert before.figures["speech taken for nothing"] == 0
    (change,) = compare([before], [after])
    assert change.change.difference.value > 0
    if ability == "prompting":
        assert 1 - before.rate > before.figures["right without the prompt"]


def test_letters_in_the_other_case_are_seen(
    tiny_en: Path,
    speech: AbilitySpeech,
    broken: Callable[[Callable[[dict[str, Any]], None]], Path],
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_en, local_files_only=True)
    vocabulary = tokenizer.get_vocab()

    def swap(tensors: dict[str, Any]) -> None:
        rows = tensors[TOKENS]
        for text, number in vocabulary.items():
            other = vocabulary.get(text[0] + text[1:].capitalize())
            if other is not None and text[1:].islower() and text.startswith("Ġ"):
                pair = torch.tensor([number, other])
                rows[pair] = rows[pair.flip(0)]

    before = measured(tiny_en, speech, "formatting")
    after = measured(broken(swap), speech, "formatting")
    assert before.rate < 0.35
    assert after.figures["casing kept"] < before.figures["casing kept"] - 0.3


def test_words_are_judged_by_marks_and_case_only_where_they_were_recognised() -> None:
    judged = judged_words("Hello, Mr. Smyth. Goodbye!", "Hello Mr. smyth. Good bye!")
    assert [(word.place, word.keeps_case, word.keeps_marks) for word in judged] == [
        (0, True, False), (1, True, True), (2, False, True),
    ]  # fmt: skip
    assert judged_words("a", "") == []


def test_two_models_are_compared_on_what_both_were_measured_on() -> None:
    def one(failures: dict[str, int]) -> Measured:
        items = tuple(Item(name, name, failed, 1) for name, failed in failures.items())
        return Measured("formatting", "", items)

    before = one({f"{at}": 0 for at in range(40)})
    worse = one({f"{at}": at % 2 for at in range(10, 60)})
    (lost,) = compare([before], [worse])
    assert lost.n == 30
    assert lost.change.difference.value == pytest.approx(0.5)
    assert lost.is_lost
    (same,) = compare([before], [before])
    assert not same.is_lost
    assert compare([before], []) == ()


def test_nothing_to_measure_on_is_refused(tiny_en: Path) -> None:
    with pytest.raises(UsageError, match="no clips"):
        AbilitySpeech.of(tiny_en, [], language="en", normaliser="whisper-english")
