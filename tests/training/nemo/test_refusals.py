"""What NeMo cannot be asked for is refused with the value named; no model is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import without_replay
from training.nemo.refusals import KNOWN, check_params
from training.nemo.texts import check_language, choose_spelling, languages
from voiceforge.errors import UsageError
from voiceforge.params import TrainingParams, domain_params


@pytest.fixture()
def params(project: Path) -> TrainingParams:
    shipped = without_replay(domain_params(project / "params.yaml", "telephony-en").training)
    return shipped.model_copy(update={"backend": "nemo", "targets": ("linear_q",)})


def test_the_shipped_training_block_can_be_asked_of_nemo(params: TrainingParams) -> None:
    check_params(params)


def test_a_switch_that_only_whisper_has_is_refused_when_on(params: TrainingParams) -> None:
    class WithMore(TrainingParams):
        def outcome(self) -> dict[str, Any]:
            return {**super().outcome(), "timestamps_share": 0.2}

    assert "timestamps_share" not in KNOWN
    with pytest.raises(UsageError, match=r"training\.timestamps_share is 0\.2"):
        check_params(WithMore(**params.model_dump()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"full_length_share": 0.1}, r"full_length_share is 0\.1, and NeMo models have no 30 s"),
        ({"targets": ("all-linear",)}, r"targets is all-linear.*Name the layers"),
    ],
)
def test_values_without_a_meaning_are_refused(
    params: TrainingParams, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        check_params(params.model_copy(update=change))


class Tokenizer:
    def __init__(self, vocab: list[str], langs: list[str] | None = None) -> None:
        self.vocab, self.langs = vocab, langs


@pytest.mark.parametrize(
    ("tokenizer", "known"),
    [
        (Tokenizer(["<|en|>", "<|itn|>", "<|pnc|>", "<|0|>", "hello", "<|it|>"]), ["en", "it"]),
        (Tokenizer(["<|en|>", "<|de|>", "<|fr|>"], ["spl_tokens", "en-US", "de"]), ["de", "en"]),
        (Tokenizer(["a", "b"], ["en", "es"]), ["en", "es"]),
        (Tokenizer(["a", "b"]), []),
    ],
)
def test_the_languages_of_a_tokenizer(tokenizer: Tokenizer, known: list[str]) -> None:
    assert languages(tokenizer) == known
    if known:
        check_language(tokenizer, known[0], "m.nemo")
        with pytest.raises(UsageError, match=rf"'xx' is not in .* m\.nemo\. It has: {known[0]}"):
            check_language(tokenizer, "xx", "m.nemo")
    else:
        check_language(tokenizer, "xx", "m.nemo")


def letters(known: str) -> Any:
    return lambda text: [ord(one) for one in text] if set(text) <= set(known) else None


def test_texts_are_written_as_they_are_where_the_tokenizer_can() -> None:
    both = letters("abcABC .'")
    assert choose_spelling(both, ["Abc.", "a b"], "en", "m.nemo").name == "as written"


def test_a_tokenizer_without_capitals_gets_lower_case_without_punctuation() -> None:
    spelling = choose_spelling(letters("abc '"), ["Ab,  c!", "A’b", "a"], "en", "m.nemo")
    assert [spelling.write(text) for text in ("Ab,  c!", "A’b", "a_b")] == ["ab c", "a'b", "a b"]


def test_a_script_that_the_tokenizer_has_no_letters_for_is_refused() -> None:
    with pytest.raises(UsageError, match=r"can write 1 of 3 .*'ru'; it has no token for и м р т"):
        choose_spelling(letters("abc "), ["мир", "мит", "a"], "ru", "m.nemo")
