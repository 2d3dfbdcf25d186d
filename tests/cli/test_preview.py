"""`voiceforge corpus preview`: where the page lies, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.audio import SAMPLE_RATE, decode, read_flac, write_flac
from data.augmentation.codecs import through_codec
from data.tables import UTTERANCES, write_utterances
from data.utterance import Utterance

NAME = "telephony-en"


def test_the_page_is_written_and_its_path_printed(
    place: Any, prompt: Callable[[str, str], Path]
) -> None:
    corpus = place.path / "data" / "corpora" / NAME
    corpus.mkdir(parents=True)
    samples = decode(prompt("en", "agent-pass"))
    write_flac(corpus / "a.flac", samples)
    row = Utterance("a", "a.flac", len(samples) / SAMPLE_RATE, "password", "en", "en-us", "allison",
                    NAME, "prompts:en", "CC-BY-SA-3.0", "granted", "", False, "")  # fmt: skip
    write_utterances(corpus / UTTERANCES, [row])
    ended = place("corpus", "preview", NAME, "--clips", "2", "--effect", "gsm", "--seed", "5")
    assert ended.code == 0, ended.err
    page = place.path / "var" / "previews" / NAME / "index.html"
    assert ended.out == f"{page}\n"
    assert "1 of 1 clips of the corpus" in page.read_text()
    expected = through_codec(read_flac(corpus / "a.flac"), "gsm")
    heard = read_flac(page.parent / "0" / "gsm.flac")
    assert abs(heard - expected).max() < 1e-4
    refused = place("corpus", "preview", NAME, "--effect", "gsm", "--out", "data")
    assert refused.code == 2
    assert "data holds other files" in refused.paragraph()


def test_a_corpus_that_is_not_there_is_an_error_that_says_how_to_get_it(place: Any) -> None:
    before = place.tree()
    ended = place("corpus", "preview", "nothing")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no domain 'nothing'" in ended.paragraph()
    ended = place("corpus", "preview", "telephony-it")
    assert (ended.code, ended.out) == (2, "")
    assert "`voiceforge corpus validate telephony-it` builds it" in ended.paragraph()
    assert place.tree() == before
