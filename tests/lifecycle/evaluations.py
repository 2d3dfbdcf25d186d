"""Folders of evaluations as `voiceforge evaluate` leaves them, what was heard decided by a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.tables import UTTERANCES, write_utterances
from data.utterance import Utterance
from evaluation.prediction import Prediction
from evaluation.runners import write_predictions
from lifecycle.evaluated import FILE, SCHEMA, SNR
from lifecycle.evaluated_texts import Texts
from voiceforge.files import sha256_json, write_json


def spoken(count: int, speakers: int = 3, language: str = "en") -> list[Utterance]:
    return [
        Utterance(
            f"u{n:03}", f"u{n:03}.flac", 3.0, f"Please send {100 + n} Zelvora filters to Anna.",
            language, language, f"s{n % speakers}", "calls", "calls", "CC0-1.0", "granted", "",
            False, f"sound {n}",
        )
        for n in range(count)
    ]  # fmt: skip


def said(rows: Sequence[Utterance], wrong: int = 0) -> list[Prediction]:
    """`wrong` of every ten utterances have "so Laura" where "Zelvora" was said."""
    return [
        Prediction(
            row.id, row.text,
            row.text.replace("Zelvora", "so Laura") if n % 10 < wrong else row.text,
            (-0.1, -0.2), row.duration, 0.1,
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip


def lay_down(
    folder: Path,
    rows: Sequence[Utterance],
    heard: dict[str, Sequence[Prediction]],
    texts: Texts | None = None,
    name: str = "calls.csv",
    *,
    calibrator: dict[str, Any] | None = None,
    sampled: list[str] | None = None,
) -> Path:
    """Write an evaluation; `heard` by "candidate" and "baseline".

    Args:
        calibrator: content of the candidate's calibrator.json.
        sampled: the models that heard a sample; None as in older folders, which do not say.
    """
    described = {
        "schema": SCHEMA,
        "speech": {
            "name": name, "split": None, "language": rows[0].language, "utterances": len(rows),
            "sha256": sha256_json([[row.id, row.audio_sha256, row.text] for row in rows]),
            "left_out": 0, "rejected": [], "corpus": "corpus",
        },
        "models": {role: {"name": role, "engine_sha256": role} for role in heard},
        **(texts or Texts("whisper-english")).described(),
        "decoding": 1,
        "calibrator": calibrator,
        **({} if sampled is None else {"sampled": sampled}),
    }  # fmt: skip
    write_json(folder / FILE, described)
    write_utterances(folder / UTTERANCES, rows)
    write_json(folder / SNR, {row.id: 20.0 for row in rows})
    for role, predictions in heard.items():
        write_predictions(folder / "predictions" / f"{role}.parquet", predictions)
    return folder
