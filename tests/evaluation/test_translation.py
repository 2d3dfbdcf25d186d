"""BLEU is sacrebleu's, and says how it was computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu

from evaluation.translation import bleu

REFERENCES = ["The cat sat on the mat.", "To leave a message, press one."]
HYPOTHESES = ["The cat sat on a mat.", "To leave a message press one."]


def test_bleu_is_what_sacrebleus_command_prints(tmp_path: Path) -> None:
    ours = bleu(REFERENCES, HYPOTHESES, "en")
    (tmp_path / "references").write_text("\n".join(REFERENCES))
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "references"), "-b", "-w", "6"]
    done = subprocess.run(
        command, input="\n".join(HYPOTHESES), capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(ours.score, abs=1e-6)
    assert 0 < ours.score < 100
    assert (
        ours.signature
        == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    )
    assert (ours.utterances, ours.words) == (2, 15)


def test_perfect_translations_have_100_also_in_languages_without_spaces() -> None:
    for language, text in {"en": "the cat sat down", "zh": "你好世界", "ja": "こんにちは"}.items():
        assert bleu([text], [text], language).score == pytest.approx(100)
    assert "tok:zh" in bleu(["你好世界"], ["你好世界"], "zh").signature
    assert "tok:char" in bleu(["こんにちは"], ["こんにちは"], "ja").signature


def test_pairs_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
        bleu(["a", "b"], ["a"], "en")
    with pytest.raises(ValueError, match="at least one"):
        bleu([], [], "en")
