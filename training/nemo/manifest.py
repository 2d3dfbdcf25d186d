"""Utterances as NeMo knows them: the fields of its manifests, and the cuts that prompts come from.

Source: the manifests of NeMo's Canary recipes (`source_lang`, `target_lang`, `taskname`, `pnc`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.utterance import Utterance


def prompt_line(row: Utterance, text: str, language: str, *, punctuated: bool) -> dict[str, Any]:
    """The fields of an utterance's manifest line that a prompt is made from.

    Args:
        row: the utterance.
        text: its transcript as the model is to write it.
        language: ISO code that the model is told.
        punctuated: whether transcripts have punctuation and capitals, which Canary is told.
    """
    return {
        "duration": row.duration,
        "text": text,
        "source_lang": language,
        "target_lang": language,
        "taskname": "asr",
        "pnc": "yes" if punctuated else "no",
    }


def is_punctuated(texts: Sequence[str]) -> bool:
    """Whether most transcripts have capitals or punctuation."""
    marked = sum(text != text.lower() or any(mark in text for mark in ".,?!") for text in texts)
    return 2 * marked > len(texts)


def cut_of(line: dict[str, Any], name: str) -> Any:
    """The lhotse cut of a manifest line; its audio is not opened."""
    from lhotse import MonoCut, SupervisionSegment

    said = SupervisionSegment(
        id=name,
        recording_id=name,
        start=0.0,
        duration=line["duration"],
        text=line["text"],
        language=line["target_lang"],
    )
    told = {key: line[key] for key in ("source_lang", "target_lang", "taskname", "pnc")}
    return MonoCut(
        id=name, start=0.0, duration=line["duration"], channel=0, supervisions=[said], custom=told
    )
