from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.engines.contracts import Engine
from serving.transcription import confidence, transcribe_file, transcribe_upload
from voiceforge.errors import AudioError


def test_a_file_becomes_text_words_and_figures(engine: Engine, prompts_folder: Path) -> None:
    heard = transcribe_file(engine, prompts_folder / "all-circuits-busy-now.g722")
    assert heard.text == "All circuits are busy now."
    assert [word.text for word in heard.words] == heard.text.split()
    assert 0.5 < heard.confidence <= 1.0
    assert heard.duration == pytest.approx(1.8, abs=0.1)
    assert heard.seconds > 0.0
    assert heard.language == "en"
    assert heard.as_dict()["words"][0]["text"] == "All"


def test_an_upload_is_heard_like_its_file(engine: Engine, prompts_folder: Path) -> None:
    path = prompts_folder / "all-circuits-busy-now.g722"
    upload = transcribe_upload(engine, path.read_bytes(), path.name)
    file = transcribe_file(engine, path)
    assert (upload.text, upload.words) == (file.text, file.words)
    with pytest.raises(AudioError, match="longer than 1 s"):
        transcribe_upload(engine, path.read_bytes(), path.name, longest=1.0)


def test_text_is_no_recording(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not a recording")
    with pytest.raises(AudioError, match="text file"):
        transcribe_file(engine, tmp_path / "notes.wav")


def test_confidence_is_the_mean_probability_of_the_tokens() -> None:
    assert confidence((0.0, float(np.log(0.5)))) == pytest.approx(0.75)
    assert confidence(()) == 0.0
