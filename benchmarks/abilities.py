"""Which of Whisper's abilities a fine-tuned model has kept, beside its base model.

    python -m benchmarks.abilities --domain telephony-en [--before FOLDER] [--after FOLDER]
                                   [--clips 24] [--full] [--write]

Both models transcribe the same held-out speech of people (and sounds without speech, and names
that eSpeak NG speaks), each as it is served: the base model in 30 s windows, a fine-tuned one at
clip length, or with --full in 30 s windows too. Without folders they are the domain's base model
and its last merged model. --write adds the table to the project's docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers.utils import logging

from benchmarks.record import Row, machine_note, shown, write_section
from data.audio import SAMPLE_RATE, decode, read_flac
from data.sources.base import FileAudio
from data.sources.prompts import Prompts
from data.tables import read_utterances
from data.utterance import Utterance
from lifecycle import merged_model, splits
from lifecycle.base_model import base_model
from lifecycle.corpus import reach_of
from lifecycle.workspace import Workspace, open_workspace
from training.abilities import ABILITIES, AbilitySpeech, measure_abilities
from training.ability_results import Compared, compare
from training.alignment import Transcribed
from voiceforge.errors import UsageError
from voiceforge.settings import Settings

_SHORTEST, _LONGEST = 1.5, 12.0
"""Seconds of the clips: long enough for half a sentence, short enough for silence around it."""
_OTHERS = ("en", "es", "fr", "it", "ru")
_OF_EACH_OTHER = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--domain", required=True, help="of params.yaml")
    parser.add_argument("--before", type=Path, help="folder of a Whisper model; the base without")
    parser.add_argument("--after", type=Path, help="folder of another; the merged model without")
    parser.add_argument("--corpus", type=Path, help="folder of the audio; the domain's without")
    parser.add_argument("--utterances", type=Path, help="table with splits; the domain's without")
    parser.add_argument("--clips", type=int, default=24, help="held-out clips of people")
    parser.add_argument("--abilities", nargs="+", choices=ABILITIES, default=ABILITIES)
    parser.add_argument("--full", action="store_true", help="hear all in 30 s windows")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    logging.set_verbosity_error()
    workspace = open_workspace(given.domain)
    before = given.before or base_model(workspace).path
    after = given.after or workspace.current(merged_model.STAGE).path
    corpus = given.corpus or workspace.corpus
    table = given.utterances or workspace.current(splits.STAGE).path / splits.TABLE
    speech = AbilitySpeech.of(
        before,
        [
            Transcribed(read_flac(corpus / row.audio), row.text)
            for row in chosen(read_utterances(table), given.clips)
        ],
        language=workspace.domain.language,
        normaliser=workspace.domain.evaluation.normaliser,
        others=_others(workspace),
    )
    old, new = (
        measure_abilities(folder, speech, abilities=given.abilities, full_window=given.full)
        for folder in (before, after)
    )
    rows = shown(table_rows(compare(old, new)))
    if given.write:
        note = machine_note(
            f"python -m benchmarks.abilities --domain {given.domain}",
            "Failures of the base model, of the fine-tuned one, and the difference with its 95% "
            "interval: above 0 is a loss.",
        )
        write_section(workspace.settings.project, f"Abilities: {given.domain}", note, rows)


def chosen(rows: Sequence[Utterance], count: int) -> list[Utterance]:
    """At most `count` held-out clips that people speak, drawn evenly; those of test come first.

    Raises:
        UsageError: there are none.
    """
    fit = [row for row in rows if not row.is_synthetic and _SHORTEST <= row.duration <= _LONGEST]
    rng = random.Random(20)
    found: list[Utterance] = []
    for split in ("test", "dev"):
        part = sorted((row for row in fit if row.split == split), key=lambda row: row.id)
        found += rng.sample(part, len(part))
    if not found:
        raise UsageError(
            f"Of {len(rows)} utterances none is spoken by a person, held out (test or dev) and "
            f"{_SHORTEST:g} to {_LONGEST:g} s long: there is nothing to measure abilities on."
        )
    return found[:count]


def table_rows(compared: Sequence[Compared]) -> Iterator[Row]:
    """One row an ability, and one a figure beside it."""
    for one in compared:
        difference = one.change.difference
        told = (
            f"{100 * one.before.rate:.1f}% -> {100 * one.after.rate:.1f}%, "
            f"{100 * difference.value:+.1f} points "
            f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
        )
        rests = f"{one.after.chances} chances in {difference.clusters:g} clips, {one.n} compared"
        verdict = "LOST " if one.is_lost else ""
        yield Row(f"{one.ability}: {one.after.fails}", verdict + told, rests)
        for name, figure in one.after.figures.items():
            if name in one.before.figures:
                value = f"{one.before.figures[name]:.3f} -> {figure:.3f}"
                yield Row(f"  {name}", value, f"{len(one.after.items)} items")


def _others(workspace: Workspace) -> dict[str, tuple[Transcribed, ...]]:
    """Prompts of languages other than the domain's, of those that can be had."""
    settings: Settings = workspace.settings
    found = {}
    for language in _OTHERS:
        cached = settings.cache / "sources" / f"prompts-{language}"
        if language == workspace.domain.language or not cached.is_dir():
            continue
        clips: list[Transcribed] = []
        recordings = Prompts(language).plan(reach_of(settings)).recordings
        for recording in recordings[:: _OF_EACH_OTHER * 2]:
            assert isinstance(recording.audio, FileAudio)
            samples = decode(recording.audio.path)
            if _SHORTEST <= len(samples) / SAMPLE_RATE <= _LONGEST and len(clips) < _OF_EACH_OTHER:
                clips.append(Transcribed(samples, recording.text))
        found[language] = tuple(clips)
    return found


if __name__ == "__main__":
    main()
