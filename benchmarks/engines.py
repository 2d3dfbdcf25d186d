"""Every engine of a finished domain's model on the same clips, beside faster-whisper.

    python -m benchmarks.engines [table|faster-whisper|long-form] [--domain telephony-en] [--write]

`table` builds the merged model in each precision and measures word errors, speed, memory and size.
`faster-whisper` sets the engine that serves beside faster-whisper int8 with the base weights, one
clip at a time: decoding greedily as we do, and with its own defaults.
`long-form` joins clips with pauses to minutes of audio, and hears them beside faster-whisper's
batched pipeline, with the base weights for both and with the fine-tuned model for us.
Without a word all parts are measured. Each program runs in a process of its own, one after another.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Part, Row, machine_note, measure_parts, shown, write_table
from benchmarks.side_by_side import Heard, apart, clock, faster_whisper, spread
from data.audio import read_flac
from data.features import SAMPLE_RATE
from data.utterance import Utterance
from evaluation.estimate import Estimate, signed_points
from evaluation.latency import Percentiles, percentiles
from evaluation.prediction import Prediction
from evaluation.reports.accuracy import accuracy_report
from lifecycle import engine, merged_model, predictions
from lifecycle.named_models import build_engine, weights_of
from lifecycle.workspace import Workspace, open_workspace
from serving.engines import load_engine
from serving.engines.contracts import DecodingOptions, Samples
from serving.engines.offered import CALIBRATED, DEFAULT, OFFERED, EngineName, probe
from serving.longform import transcribe
from voiceforge.files import new_folder
from voiceforge.memory import keep_freed_memory, peak_memory

_BATCHES = (8, 32)
_BATCH = 8
_EXACT = str(EngineName(DEFAULT.kind, "float32"))
_PAUSES = (0.5, 1.5)
_SEED = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What one engine did; sizes in bytes, times in seconds."""

    texts: Sequence[str]
    load: float
    alone: Percentiles
    rtfx: float
    batches: Sequence[float]
    memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parts = ("table", "faster-whisper", "long-form")
    parser.add_argument("part", nargs="?", choices=parts, help="all without")
    parser.add_argument("--domain", default="telephony-en", help="finished by `voiceforge run`")
    parser.add_argument("--clips", type=int, default=150, help="of its test split")
    parser.add_argument("--minutes", type=float, default=10.0, help="of long-form audio")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    workspace = open_workspace(given.domain)
    project = workspace.settings.project if given.write else None
    keep_freed_memory()  # as the command does, for every program alike
    if given.part in (None, "table"):
        _table(workspace, given.clips, project, given.remark)
    rest = {
        "faster-whisper": Part(
            "Engines: beside faster-whisper, short clips",
            "python -m benchmarks.engines faster-whisper",
            lambda: _beside(workspace, given.clips),
        ),
        "long-form": Part(
            "Engines: beside faster-whisper, long recordings",
            "python -m benchmarks.engines long-form",
            lambda: _long_form(workspace, given.minutes),
        ),
    }
    chosen = [given.part] if given.part else list(rest)
    measure_parts(rest, [name for name in chosen if name in rest], project, given.remark)


def _table(workspace: Workspace, count: int, project: Path | None, remark: str) -> None:
    rows, clips = _clips(workspace, count)
    seconds = sum(map(len, clips)) / SAMPLE_RATE
    found: dict[str, tuple[Measured, int]] = {}
    for kind, precisions in OFFERED.items():
        if problem := probe(kind).problem:
            shown([Row(kind, "not measured", problem)])
            continue
        for precision in precisions:
            name = EngineName(kind, precision)
            folder = _built(workspace, name)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            found[str(name)] = apart(_measure, folder, workspace.settings.threads, clips), size
            shown([Row(str(name), f"{found[str(name)][0].rtfx:.1f} x", f"{len(clips)} clips")])
    exact = found[_EXACT][0].texts
    cells = [_cells(workspace, rows, name, *one, exact) for name, one in found.items()]
    header = (
        "engine", "word error rate", "points beside float32", "RTFx at batch 1, 8, 32",
        "p50, p95 a clip", "load", "memory", "size",
    )  # fmt: skip
    for line in cells:
        shown([Row(line[0], line[1], " | ".join(line[2:]))])
    if project is not None:
        remark = (
            f"{len(clips)} test clips of {workspace.domain.name}, {seconds:.0f} s, "
            f"{workspace.settings.threads} threads; its fine-tuned model in each engine. RTFx: "
            f"seconds of audio a second. {remark}"
        ).strip()
        note = machine_note("python -m benchmarks.engines table", remark)
        page = project / "docs" / "benchmarks.md"
        write_table(page, "Engines: precision, speed and size", note, header, cells)


def _cells(
    workspace: Workspace,
    rows: Sequence[Utterance],
    name: str,
    measured: Measured,
    size: int,
    exact: Sequence[str],
) -> list[str]:
    rate, loss = _rates(workspace, rows, measured.texts, exact)
    speeds = ", ".join(f"{speed:.1f}" for speed in (measured.rtfx, *measured.batches))
    times = f"{1000 * measured.alone.p50:.0f}, {1000 * measured.alone.p95:.0f} ms"
    return [
        f"`{name}`",
        f"{rate.percent()}, {rate.words:,} words",
        "" if name == _EXACT else signed_points(loss, 2),
        speeds,
        times,
        f"{measured.load:.2f} s",
        f"{measured.memory / 1e6:.0f} MB",
        f"{size / 1e6:.0f} MB",
    ]


def _rates(
    workspace: Workspace, rows: Sequence[Utterance], said: Sequence[str], beside: Sequence[str]
) -> tuple[Estimate, Estimate]:
    """Word error rate of the texts, and its difference from that of others."""
    params = workspace.domain.evaluation

    def predicted(texts: Sequence[str]) -> list[Prediction]:
        return [
            Prediction(row.id, row.text, text, (), row.duration, 0.0)
            for row, text in zip(rows, texts, strict=True)
        ]

    report = accuracy_report(
        predicted(said),
        predicted(beside),
        rows,
        candidate_name="candidate",
        baseline_name="baseline",
        normaliser=params.normaliser,
        language=workspace.domain.language,
        confidence=params.confidence,
        resamples=params.resamples,
        seed=params.seed,
    )
    compared = report.overall.comparison
    if compared is None:
        raise SystemExit("The clips have no words.")
    return compared.candidate, compared.difference


def _measure(folder: Path, threads: int, clips: Sequence[Samples]) -> Measured:
    """Load, hear each clip alone, then in batches of clips of like length."""
    began = time.perf_counter()
    model = load_engine(folder, threads=threads)
    loaded = time.perf_counter() - began
    options = DecodingOptions()
    model.transcribe([clips[len(clips) // 2]], options)
    texts, alone = [], []
    for clip in clips:
        began = time.perf_counter()
        texts.append(model.transcribe([clip], options)[0].text)
        alone.append(time.perf_counter() - began)
    audio = sum(map(len, clips)) / SAMPLE_RATE
    ordered = sorted(clips, key=len)
    batches = []
    for size in _BATCHES:

        def hear(size: int = size) -> None:
            for start in range(0, len(ordered), size):
                model.transcribe(ordered[start : start + size], options)

        batches.append(audio / clock(hear))
    return Measured(texts, loaded, percentiles(alone), audio / sum(alone), batches, peak_memory())


def _beside(workspace: Workspace, count: int) -> Iterator[Row]:
    rows, clips = _clips(workspace, count)
    seconds, threads = sum(map(len, clips)) / SAMPLE_RATE, workspace.settings.threads
    rests_on = f"{len(clips)} clips, {seconds:.0f} s of audio, {threads} threads"
    base = engine.engine_folder(workspace.current(engine.BASE))
    greedy, defaults = apart(faster_whisper, base, workspace.domain.language, threads, clips)
    ours = apart(_measure, engine.engine_folder(workspace.current(engine.STAGE)), threads, clips)
    batched = ours.batches[_BATCHES.index(_BATCH)]
    rate, _ = _rates(workspace, rows, ours.texts, greedy.texts)
    yield Row("word error rate: VoiceForge, fine-tuned", rate.percent(), f"{rate.words:,} words")
    yield Row(f"RTFx: VoiceForge, one clip at a time, batches of {_BATCH}",
              f"{ours.rtfx:.1f}, {batched:.1f}", rests_on)  # fmt: skip
    yield Row("p50, p95 a clip: VoiceForge", _times(ours.alone), rests_on)
    for name, heard in (("greedy, no fallback", greedy), ("its own defaults", defaults)):
        theirs, loss = _rates(workspace, rows, heard.texts, ours.texts)
        alone = percentiles(list(heard.seconds))
        program = f"faster-whisper int8, base model, {name}"
        yield Row(f"word error rate: {program}", theirs.percent(), f"{theirs.words:,} words")
        yield Row(
            f"points above VoiceForge: {program}", signed_points(loss), f"{loss.words:,} words"
        )
        yield Row(f"RTFx: {program}", f"{seconds / heard.total:.1f}", rests_on)
        yield Row(f"p50, p95 a clip: {program}", _times(alone), rests_on)
        yield Row(f"times its throughput, batches of {_BATCH}: {program}",
                  f"{batched * heard.total / seconds:.1f} x", rests_on)  # fmt: skip
        yield Row(f"its p50 over ours: {program}", f"{alone.p50 / ours.alone.p50:.1f} x", rests_on)


def _long_form(workspace: Workspace, minutes: float) -> Iterator[Row]:
    rows, clips = _clips(workspace, 10_000)
    order = np.random.default_rng(_SEED).permutation(len(clips))
    samples, text = _joined([(clips[n], rows[n].text) for n in order], minutes * 60.0)
    whole = [_one(rows[0], text, len(samples) / SAMPLE_RATE)]
    threads, language = workspace.settings.threads, workspace.domain.language
    base = engine.engine_folder(workspace.current(engine.BASE))
    tuned = engine.engine_folder(workspace.current(engine.STAGE))
    rests_on = f"{len(samples) / SAMPLE_RATE / 60:.1f} minutes, {threads} threads"
    heard = {
        "VoiceForge, fine-tuned": apart(_voiceforge_long, tuned, threads, samples),
        "VoiceForge, base weights": apart(_voiceforge_long, base, threads, samples),
        "faster-whisper batched, base weights": apart(
            _faster_whisper_long, base, language, threads, samples
        ),
    }
    pipeline = heard["faster-whisper batched, base weights"]
    for name, one in heard.items():
        rate, _ = _rates(workspace, whole, one.texts, pipeline.texts)
        yield Row(f"word error rate: {name}", f"{100 * rate.value:.1f}%", f"{rate.words:,} words")
        yield Row(f"RTFx: {name}", f"{len(samples) / SAMPLE_RATE / one.total:.1f}", rests_on)
        if one is not pipeline:
            ratio = f"{pipeline.total / one.total:.2f} x"
            yield Row(f"times the batched pipeline's speed: {name}", ratio, rests_on)


def _voiceforge_long(folder: Path, threads: int, samples: Samples) -> Heard:
    model = load_engine(folder, threads=threads)
    transcribe(model, samples[: 30 * SAMPLE_RATE])
    began = time.perf_counter()
    text = transcribe(model, samples).text
    return Heard([text], [time.perf_counter() - began])


def _faster_whisper_long(folder: Path, language: str, threads: int, samples: Samples) -> Heard:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
    pipeline = BatchedInferencePipeline(model)

    def hear(audio: Samples) -> str:
        segments, _ = pipeline.transcribe(
            audio, language=language, batch_size=_BATCH, beam_size=1, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)

    hear(samples[: 30 * SAMPLE_RATE])
    began = time.perf_counter()
    text = hear(samples)
    return Heard([text], [time.perf_counter() - began])


def _joined(spoken: Sequence[tuple[Samples, str]], seconds: float) -> tuple[Samples, str]:
    """Clips one after another with pauses between them, until there are so many seconds."""
    random = np.random.default_rng(_SEED)
    parts: list[Any] = []
    texts: list[str] = []
    length = 0
    for clip, text in spoken:
        if length >= seconds * SAMPLE_RATE:
            break
        pause = np.zeros(int(random.uniform(*_PAUSES) * SAMPLE_RATE), np.float32)
        parts += [clip, pause]
        texts.append(text)
        length += len(clip) + len(pause)
    return np.concatenate(parts), " ".join(texts)


def _one(like: Utterance, text: str, duration: float) -> Utterance:
    return replace(like, id="joined", text=text, duration=duration)


def _built(workspace: Workspace, name: EngineName) -> Path:
    """The domain's merged model as that engine, built once below its home."""
    merged = workspace.current(merged_model.STAGE)
    weights = weights_of(workspace.settings, str(merged.path))
    if weights is None:
        raise SystemExit(f"{merged.path} is no Whisper model.")
    folder = (
        workspace.settings.home
        / "benchmark-engines"
        / (f"{name.kind}-{name.precision}-{weights.sha256[:16]}")
    )
    if not (folder / "engine.json").is_file():
        clips = engine.calibration_clips(workspace) if name.precision in CALIBRATED else ()
        with new_folder(folder) as out:
            build_engine(weights, name, out, workspace.domain.language, clips)
    return folder


def _clips(workspace: Workspace, count: int) -> tuple[list[Utterance], list[Samples]]:
    rows = spread(predictions.test_utterances(workspace), count)
    return rows, [read_flac(workspace.corpus / row.audio) for row in rows]


def _times(seconds: Percentiles) -> str:
    return f"{1000 * seconds.p50:.0f}, {1000 * seconds.p95:.0f} ms"


if __name__ == "__main__":
    main()
