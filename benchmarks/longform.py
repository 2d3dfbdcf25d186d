"""Long recordings: cut at quiet places or by voice activity; what each hears, takes and needs.

    python -m benchmarks.longform --engine FOLDER [--seconds 600] [--hours 3] [--parts ...]

The engine hears prompts and readings of people, one after the other with pauses of 2 to 8 s between
them, as one recording. --write adds the tables to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.record import Part, Row, measure_parts
from benchmarks.side_by_side import apart
from data.audio import SAMPLE_RATE, Samples, decode
from data.augmentation.conditions import without_speech
from data.conditions import NoSpeechKind
from data.sources.base import FileAudio, Recording
from data.sources.prompts import Prompts
from data.sources.readings import Readings
from evaluation.metrics import word_errors
from evaluation.text import normalise
from lifecycle.corpus import reach_of
from serving.engines import load_engine
from serving.engines.contracts import DecodingOptions
from serving.longform import AT_ONCE, Segmentation, heard_in_parts, transcribe
from voiceforge.params import ReadingsSource
from voiceforge.settings import Settings, load_settings

SEED = 20
PAUSE = (2.0, 8.0)
HISS = 1e-3
"""Standard deviation of the noise throughout: -60 dBFS, a quiet room."""

FEWEST_WORDS = 4
WAYS: tuple[Segmentation, ...] = ("quiet", "speech")
QUIET: tuple[NoSpeechKind, ...] = ("silence", "pink noise", "tones")
QUIET_SECONDS = 120.0
_DECODED = AT_ONCE
"""Segments of a recording of hours that are decoded: as many as memory ever has to hold."""


class LongForm:
    """One engine, and the recording that it hears."""

    def __init__(self, folder: Path, seconds: float, hours: float, settings: Settings) -> None:
        self._folder, self._hours, self._threads = folder, hours, settings.threads
        self._engine = load_engine(folder, threads=settings.threads)
        self._samples, self._text, self._clips, self._spoken = _recording(settings, seconds)

    def accuracy(self) -> Iterator[Row]:
        """Word errors and time of the same recording, cut in both ways."""
        reference = normalise(self._text, "whisper-english", "en")
        minutes = len(self._samples) / SAMPLE_RATE / 60
        for way in WAYS:
            began = time.perf_counter()
            said = transcribe(self._engine, self._samples, segmentation=way)
            taken = time.perf_counter() - began
            found = word_errors([reference], [normalise(said.text, "whisper-english", "en")])
            rests_on = (
                f"{len(reference.split())} words in {self._clips} clips, {self._spoken / 60:.1f} "
                f"min of speech in {minutes:.1f} min"
            )
            kinds = f"{found.substitutions} S, {found.deletions} D, {found.insertions} I"
            yield Row(f"{way}: word error rate", f"{100 * found.rate:.2f}% ({kinds})", rests_on)
            yield Row(f"{way}: seconds of wall time", f"{taken:.1f}", f"{self._threads} threads")

    def nobody(self) -> Iterator[Row]:
        """Words invented where nobody speaks for two minutes."""
        for kind in QUIET:
            sound = without_speech(kind, QUIET_SECONDS, seed=SEED, number=0)
            for way in WAYS:
                said = transcribe(self._engine, sound, segmentation=way)
                rests_on = f"1 recording of {QUIET_SECONDS:g} s"
                yield Row(f"{kind}, {way}: words", str(len(said.text.split())), rests_on)

    def memory(self) -> Iterator[Row]:
        """Peak memory of a recording of hours: this one over and over, in a process of its own."""
        for way in WAYS:
            for hours in (self._hours / 12, self._hours):
                peak, heard, taken = apart(
                    _peak, self._folder, self._threads, self._samples, hours, way
                )
                name = f"{way}: peak memory, {hours:.2g} h of audio"
                rests_on = f"segmented whole, {heard} segments decoded in {taken:.0f} s"
                yield Row(name, f"{peak / 1e9:.2f} GB", rests_on)


def _peak(
    folder: Path, threads: int, samples: Samples, hours: float, way: Segmentation
) -> tuple[int, int, float]:
    """Bytes, segments and seconds; the first segments are decoded, the rest is alike."""
    engine = load_engine(folder, threads=threads)
    whole = np.resize(samples, round(hours * 3600 * SAMPLE_RATE))
    began, heard = time.perf_counter(), 0
    for _ in heard_in_parts(engine, whole, DecodingOptions(word_times=True), segmentation=way):
        heard += 1
        if heard == _DECODED:
            break
    taken = time.perf_counter() - began
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, heard, taken


def _recording(settings: Settings, seconds: float) -> tuple[Samples, str, int, float]:
    """Samples, what is said, how many clips and how many seconds of them."""
    reach = reach_of(settings)
    austen = ReadingsSource(kind="readings", set="austen", language="en")
    every = [*Readings(austen).plan(reach).recordings, *Prompts("en").plan(reach).recordings]
    rng = np.random.default_rng(SEED)
    parts, texts, spoken = [], [], 0.0
    for one in _drawn(every, rng):
        if spoken >= seconds:
            break
        assert isinstance(one.audio, FileAudio)
        clip = decode(one.audio.path)
        pause = round(rng.uniform(*PAUSE) * SAMPLE_RATE)
        parts += [clip, np.zeros(pause, np.float32)]
        texts.append(one.text)
        spoken += len(clip) / SAMPLE_RATE
    whole = np.concatenate(parts)
    hiss = rng.normal(0.0, HISS, len(whole)).astype(np.float32)
    return whole + hiss, " ".join(texts), len(texts), spoken


def _drawn(every: Iterable[Recording], rng: np.random.Generator) -> list[Recording]:
    fit = [one for one in every if len(one.text.split()) >= FEWEST_WORDS]
    return [fit[place] for place in rng.permutation(len(fit))]


PARTS = ("accuracy", "nobody", "memory")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", type=Path, required=True, help="folder of an English engine")
    parser.add_argument("--seconds", type=float, default=600.0, help="of speech, without pauses")
    parser.add_argument("--hours", type=float, default=3.0, help="of audio, for the memory")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args(arguments)
    settings = load_settings()
    measured = LongForm(given.engine, given.seconds, given.hours, settings)
    command = f"python -m benchmarks.longform --engine FOLDER --seconds {given.seconds:g}"
    parts = {
        name: Part(f"Long recordings: {name}", f"{command} --parts {name}", getattr(measured, name))
        for name in PARTS
    }
    measure_parts(parts, given.parts, settings.project if given.write else None, given.remark)


if __name__ == "__main__":
    main()
