"""How quickly an evaluation hears speech, beside a faster-whisper loop with the base weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.record import Row
from benchmarks.side_by_side import apart, clock, faster_whisper, spread
from data.audio import read_flac
from data.features import SAMPLE_RATE
from data.tables import UTTERANCES, read_utterances
from data.utterance import Utterance
from evaluation.runners import predict
from lifecycle.heard import BATCH
from lifecycle.named_models import engine_of
from serving.engines import load_engine
from serving.longform import AnyLength
from voiceforge.memory import keep_freed_memory
from voiceforge.settings import Settings


def measure(settings: Settings, model: str, base: str, corpus: Path, count: int) -> Iterator[Row]:
    """The evaluation's own loop with a model of clip length; faster-whisper with the base model.

    What is given to faster-whisper is decoded audio; the evaluation reads its files.

    Args:
        model, base: as `voiceforge evaluate` names models.
        corpus: folder of a corpus; of its test split, or of all where nothing is split.
        count: clips, spread evenly over the lengths that there are.
    """
    every = read_utterances(corpus / UTTERANCES)
    rows = spread([row for row in every if row.split == "test"] or every, count)
    clips = [read_flac(corpus / row.audio) for row in rows]
    seconds = sum(len(clip) for clip in clips) / SAMPLE_RATE
    rests_on = f"{len(rows)} clips, {seconds:.0f} s of audio, {settings.threads} threads"
    folder, _ = engine_of(settings, base)
    theirs = apart(faster_whisper, folder, rows[0].language, settings.threads, clips)
    keep_freed_memory()  # as the command does; faster-whisper ran as its user would run it
    folder, _ = engine_of(settings, model)
    ours, _ = apart(_evaluation, folder, settings.threads, rows, corpus)
    named = zip(("greedy, no fallback", "its own defaults"), theirs, strict=True)
    taken = {f"faster-whisper int8, {base}, one at a time, {how}": one.total for how, one in named}
    yield Row(
        f"RTFx: evaluation's predictions, batches of {BATCH}", f"{seconds / ours:.1f}", rests_on
    )
    for name, one in taken.items():
        yield Row(f"RTFx: {name}", f"{seconds / one:.1f}", rests_on)
    for name, one in taken.items():
        yield Row(f"times the throughput of {name}", f"{one / ours:.1f} x", rests_on)


def _evaluation(
    folder: Path, threads: int, rows: Sequence[Utterance], corpus: Path
) -> tuple[float, float]:
    """Seconds of the evaluation's loop on the clips, and on its first batch before that."""
    engine = AnyLength(load_engine(folder, threads=threads))

    def hear(some: Sequence[Utterance]) -> None:
        predict(engine, some, corpus, batch_size=BATCH)

    first = clock(lambda: hear(rows[:BATCH]))
    return clock(lambda: hear(rows)), first
