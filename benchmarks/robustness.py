"""What an engine invents, loses to noise, knows of its errors; how it streams, how fast it is.

    python -m benchmarks.robustness --engine FOLDER [--clips 40] [--parts ...] [--write]

The engine hears English telephone prompts of one person, clean and under test conditions, and
sounds in which nobody speaks. --write adds the tables to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Part, Row, measure_parts
from data.audio import SAMPLE_RATE, Samples, decode
from data.augmentation.conditions import degrade, without_speech
from data.conditions import NO_SPEECH_CONDITIONS, Condition
from data.music import music_on_hold
from data.sources.base import FileAudio
from data.sources.prompts import Prompts
from data.utterance import Utterance
from evaluation.calibration import measure_calibration
from evaluation.calibrator import fit_calibrator
from evaluation.confidence import Judged, Level, judge_utterances, judge_words
from evaluation.degradation import degradation_curve
from evaluation.hallucination import Heard, measure_hallucinations
from evaluation.metrics import word_errors
from evaluation.prediction import Prediction
from evaluation.quantiles import Quantile
from evaluation.significance import Interval
from evaluation.slices import Resampling, Scored, score
from evaluation.streaming import measure_streaming
from evaluation.text import normalise
from evaluation.timing import measure_grid
from evaluation.tracing import record_trace
from evaluation.word_tokens import word_splitter
from lifecycle.corpus import reach_of
from serving.engines import load_engine
from serving.engines.contracts import DecodingOptions, Fallback, Transcript
from serving.streaming.session import StreamSession
from voiceforge.settings import Settings, load_settings

SEED = 20
RESAMPLING = Resampling(0.95, 2000, SEED)
DRAWN: dict[str, Any] = {"confidence": 0.95, "resamples": 2000, "seed": SEED}
NORMALISER, LANGUAGE = "whisper-english", "en"
CONDITIONS = (
    *(Condition("pink noise", snr) for snr in (20.0, 10.0, 5.0, 0.0)),
    Condition("clipping", -6.0),
    Condition("gsm"),
)
QUIET_CLIPS, QUIET_SECONDS = 6, 15.0
RULES = {
    "greedy": DecodingOptions(),
    "with rules": DecodingOptions(fallback=Fallback()),
}
STREAMS = 6


class Robustness:
    """One engine, and the prompts that it hears."""

    def __init__(self, folder: Path, clips: int, settings: Settings) -> None:
        self._folder = folder
        self._heard: dict[Condition | None, tuple[list[Prediction], tuple[Scored, ...]]] = {}
        self._threads = settings.threads
        self._engine = load_engine(folder, threads=settings.threads)
        self._reach = reach_of(settings)
        plan = Prompts(LANGUAGE).plan(self._reach)
        spread = plan.recordings[:: max(1, len(plan.recordings) // clips)][:clips]
        self._audio = {
            one.id: decode(one.audio.path)[: 25 * SAMPLE_RATE]
            for one in spread
            if isinstance(one.audio, FileAudio)
        }
        self._rows = [
            Utterance(
                id=one.id, audio="", duration=len(self._audio[one.id]) / SAMPLE_RATE, text=one.text,
                language=LANGUAGE, accent=one.accent, speaker=one.speaker, domain="prompts",
                source=one.source, licence=one.licence, consent=one.consent, split="test",
                is_synthetic=False, audio_sha256="",
            )
            for one in spread
            if one.id in self._audio
        ]  # fmt: skip

    def heard(self, condition: Condition | None) -> tuple[list[Prediction], tuple[Scored, ...]]:
        """Predictions of all prompts under a condition, and their errors; each heard once."""
        if condition in self._heard:
            return self._heard[condition]
        found = []
        for row in self._rows:
            clip = self._audio[row.id]
            if condition:
                clip = degrade(clip, condition, seed=SEED, utterance_id=row.id)
            (said,) = self._engine.transcribe([clip], DecodingOptions())
            found.append(
                Prediction(row.id, row.text, said.text, said.token_logprobs, row.duration, 0.0)
            )
        scored = score(found, self._rows, normaliser=NORMALISER, language=LANGUAGE)
        self._heard[condition] = found, scored
        return self._heard[condition]

    def degradation(self) -> Iterable[Row]:
        degraded = {one: self.heard(one)[1] for one in CONDITIONS}
        points = degradation_curve(self.heard(None)[1], degraded, RESAMPLING)
        rests_on = f"{points[0].words} words, {points[0].utterances} prompts, one speaker"
        yield Row("word error rate, clean", points[0].clean.percent(), rests_on)
        for point in points:
            yield Row(
                f"{point.condition.title}: word error rate",
                point.word_error_rate.percent(),
                rests_on,
            )
            yield Row(f"{point.condition.title}: minus clean", points_of(point.loss), rests_on)

    def confidence(self) -> Iterable[Row]:
        """On clean and noisy prompts together: clean ones alone have too few errors."""
        parts = [self.heard(None), *(self.heard(one) for one in CONDITIONS)]
        predictions = [one for part, _ in parts for one in part]
        rows = [row for _, part in parts for row in part]
        split = word_splitter(self._folder, LANGUAGE)
        plain = partial(normalise, name=NORMALISER, language=LANGUAGE)
        utterances = judge_utterances(predictions, rows)
        words = judge_words(predictions, rows, split, plain)
        levels: tuple[tuple[Level, Judged], ...] = (("utterance", utterances), ("word", words))
        for level, judged in levels:
            found = measure_calibration(judged, level, **DRAWN)
            rests_on = f"{found.units} {level}s, {found.errors} wrong, {found.clusters} texts"
            yield Row(
                f"{level}: ECE, and up to what chance alone brings it",
                f"{found.ece:.3f}, {found.ece_by_chance[1]:.3f}",
                rests_on,
            )
            yield Row(f"{level}: confidence minus accuracy", points_of(found.gap), rests_on)
            for name in ("nce", "auroc"):
                interval = getattr(found, name)
                yield Row(f"{level}: {name.upper()}", plain_interval(interval), rests_on)
            chosen = fit_calibrator(judged, level, seed=SEED)
            before, after = chosen.held_out["identity"], chosen.held_out[chosen.kind]
            yield Row(
                f"{level}: calibrator chosen, held-out log loss before and after",
                f"{chosen.kind}, {before:.3f}, {after:.3f}",
                rests_on,
            )
        left_out = sum(count for _, count in words.left_out)
        yield Row("utterances whose words have no tokens", f"{left_out}", f"{len(rows)} utterances")

    def hallucination(self) -> Iterable[Row]:
        music = music_on_hold(
            cache=self._reach.cache, offline=self._reach.offline, timeout=self._reach.timeout
        )
        for kind in NO_SPEECH_CONDITIONS:
            # Digital silence is the same whenever it is heard.
            count = 1 if kind == "silence" else QUIET_CLIPS
            heard = []
            for number in range(count):
                clip = without_speech(kind, QUIET_SECONDS, seed=SEED, number=number, music=music)
                (said,) = self._engine.transcribe([clip], DecodingOptions())
                text = normalise(said.text, NORMALISER, LANGUAGE)
                heard.append(Heard(f"{kind} {number}", "", text, QUIET_SECONDS))
            found = measure_hallucinations(heard, characters_per_second=25.0, **DRAWN)
            assert found.words_per_minute is not None
            rests_on = f"{found.clips} clips of {QUIET_SECONDS:g} s"
            yield Row(f"{kind}: words a minute", plain_interval(found.words_per_minute), rests_on)
            yield Row(f"{kind}: clips with a loop", f"{len(found.loops)}", rests_on)

    def fallback(self) -> Iterable[Row]:
        """Sounds without speech, and prompts, with Whisper's rules and without."""
        music = music_on_hold(
            cache=self._reach.cache, offline=self._reach.offline, timeout=self._reach.timeout
        )
        for kind in NO_SPEECH_CONDITIONS:
            count = 1 if kind == "silence" else QUIET_CLIPS
            sounds = [
                without_speech(kind, QUIET_SECONDS, seed=SEED, number=number, music=music)
                for number in range(count)
            ]
            for name, options in RULES.items():
                heard = [
                    Heard(
                        str(number), "", normalise(said.text, NORMALISER, LANGUAGE), QUIET_SECONDS
                    )
                    for number, said in enumerate(self._engine.transcribe(sounds, options))
                ]
                found = measure_hallucinations(heard, characters_per_second=25.0, **DRAWN)
                rests_on = f"{count} clips of {QUIET_SECONDS:g} s"
                each = plain_interval(found.words_per_minute)
                yield Row(f"{kind}, {name}: words a minute", each, rests_on)
        for title, condition in (("clean", None), ("pink noise, 0 dB", Condition("pink noise", 0))):
            clips = [
                degrade(self._audio[row.id], condition, seed=SEED, utterance_id=row.id)
                if condition
                else self._audio[row.id]
                for row in self._rows
            ]
            said = [normalise(row.text, NORMALISER, LANGUAGE) for row in self._rows]
            for name, options in RULES.items():
                began = time.perf_counter()
                texts = [one.text for one in self._engine.transcribe(clips, options)]
                taken = time.perf_counter() - began
                errors = word_errors(said, [normalise(one, NORMALISER, LANGUAGE) for one in texts])
                rests_on = f"{errors.words} words, {len(clips)} prompts, one speaker"
                value = f"{100 * errors.rate:.1f}%, {sum(not one for one in texts)} empty"
                yield Row(f"prompts {title}, {name}: word error rate", value, rests_on)
                yield Row(f"prompts {title}, {name}: time", f"{taken:.1f} s", rests_on)

    def streaming(self) -> Iterable[Row]:
        """Compute-unaware: what the session would make a user wait on a machine without limits."""
        traces = []
        for row in self._rows[:STREAMS]:
            silence = np.zeros(SAMPLE_RATE, np.float32)
            session = StreamSession(self._decode)
            samples = np.concatenate([self._audio[row.id], silence])
            traces.append(record_trace(session, samples, row.id, "compute-unaware"))
        found = measure_streaming(traces, "audio", **DRAWN)
        rests_on = f"{found.streams} streams, {found.final_words} words, compute-unaware"
        for name, spread in (
            ("first interim after speech begins", found.first_interim),
            ("last final after speech ends", found.final),
            ("user-perceived latency of a word", found.word_latency),
        ):
            if spread is not None:
                yield Row(f"{name}, median", f"{plain_interval(spread.p50)} s", rests_on)
        if found.revisions_per_word is not None and found.unstable_word_ratio is not None:
            yield Row("revisions a word", plain_interval(found.revisions_per_word), rests_on)
            yield Row("UPWR", plain_interval(found.unstable_word_ratio), rests_on)

    def latency(self) -> Iterable[Row]:
        speech = np.concatenate(list(self._audio.values()))
        found = measure_grid(
            lambda: load_engine(self._folder, threads=self._threads),
            speech,
            threads=self._threads,
            budget=5.0,
        )
        threads = f"{found.threads} threads"
        yield Row("loading the engine", f"{found.load_seconds:.2f} s", threads)
        cold = f"{found.cold_clip_seconds:g} s of audio, {threads}"
        yield Row("the first call", f"{found.cold_seconds:.2f} s", cold)
        for cell in found.cells:
            rests_on = f"{cell.calls} calls, {threads}"
            what = f"clips of {cell.clip_seconds:g} s, {cell.batch_size} at once"
            yield Row(f"{what}: median", seconds(cell.p50), rests_on)
            yield Row(f"{what}: RTF", f"{cell.rtf:.3f}", rests_on)
        yield Row("peak memory of the process", f"{found.peak_memory_bytes / 1e9:.2f} GB", threads)

    def _decode(self, samples: Samples, options: DecodingOptions) -> Transcript:
        return self._engine.transcribe([samples], options)[0]


def points_of(loss: Interval) -> str:
    return f"{100 * loss.value:+.1f} points [{100 * loss.low:+.1f}, {100 * loss.high:+.1f}]"


def seconds(found: Quantile) -> str:
    ends = ("?" if end is None else f"{end:.2f}" for end in (found.low, found.high))
    return f"{found.value:.2f} s [{', '.join(ends)}]"


def plain_interval(found: Interval | None) -> str:
    return (
        "not defined" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
    )


PARTS = ("degradation", "confidence", "hallucination", "fallback", "streaming", "latency")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", type=Path, required=True, help="folder of an English engine")
    parser.add_argument("--clips", type=int, default=40, help="prompts that it hears")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args(arguments)
    settings = load_settings()
    measured = Robustness(given.engine, given.clips, settings)
    command = f"python -m benchmarks.robustness --engine FOLDER --clips {given.clips}"
    parts = {
        name: Part(f"Robustness: {name}", f"{command} --parts {name}", getattr(measured, name))
        for name in PARTS
    }
    measure_parts(parts, given.parts, settings.project if given.write else None, given.remark)


if __name__ == "__main__":
    main()
