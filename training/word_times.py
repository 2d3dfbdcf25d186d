"""The times of words of training clips, found once and kept for the next attempt at a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from data.audio import read_flac
from data.utterance import Utterance
from training.alignment import SpokenWord, Transcribed, align_words
from training.weights import weight_hashes
from voiceforge.errors import UsageError
from voiceforge.files import read_json, sha256_file, sha256_json, write_json

VERSION = 1
"""Raise it when equal clips come to be aligned otherwise."""

FILE = "word-times.json"
_AT_ONCE = 64
"""Clips between two writes: what a kill costs at most."""
_WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})


class Placed(Protocol):
    """A training clip (`training.prepared.Clip`)."""

    @property
    def row(self) -> Utterance: ...
    @property
    def prompt(self) -> list[int]: ...
    @property
    def path(self) -> Path: ...


class WordTimes:
    """Aligns clips with a base model.

    Args:
        model: the base model without adapters, a `training.context.LengthMatchedWhisper`.
        tokenizer: its tokenizer.
        base: its folder.
        workspace: where times are kept between attempts; None to keep none.
    """

    def __init__(self, model: Any, tokenizer: Any, base: Path, workspace: Path | None) -> None:
        self._model, self._tokenizer, self._base = model, tokenizer, base
        self._file = workspace and workspace / FILE

    def of(self, clips: Mapping[int, Placed]) -> dict[int, list[SpokenWord]]:
        """The words of each clip; those that are kept are not aligned anew.

        Raises:
            UsageError: a clip is in a language that is written without spaces.
        """
        if not clips:
            return {}
        for clip in clips.values():
            if clip.row.language in _WITHOUT_SPACES:
                raise UsageError(
                    f"training.samples.prefix cuts clips between words, which it finds by spaces; "
                    f"the language {clip.row.language!r} of {clip.row.id} is written without. Set "
                    "it to 0 in params.yaml."
                )
        made_by = {"version": VERSION, "base": list(weight_hashes(self._base).values())}
        keys = {number: _key(clip, made_by) for number, clip in clips.items()}
        kept = read_json(self._file) if self._file and self._file.is_file() else {}
        missing = sorted(number for number in clips if keys[number] not in kept)
        # Clips of one language share a window, and of like length least of it is empty.
        missing.sort(key=lambda number: (clips[number].prompt, clips[number].row.duration))
        for prompt, group in itertools.groupby(missing, lambda number: clips[number].prompt):
            for chosen in _batches(group):
                heard = [
                    Transcribed(read_flac(clips[number].path), clips[number].row.text)
                    for number in chosen
                ]
                found = align_words(self._model, self._tokenizer, prompt, heard)
                for number, words in zip(chosen, found, strict=True):
                    kept[keys[number]] = [asdict(word) for word in words]
                if self._file:
                    write_json(self._file, kept)
        return {number: [SpokenWord(**word) for word in kept[keys[number]]] for number in clips}


def _key(clip: Placed, made_by: Mapping[str, Any]) -> str:
    audio = clip.row.audio_sha256 or sha256_file(clip.path)
    return sha256_json({**made_by, "audio": audio, "text": clip.row.text})


def _batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    # itertools.batched comes with Python 3.12.
    rest = iter(numbers)
    while batch := list(itertools.islice(rest, _AT_ONCE)):
        yield batch
