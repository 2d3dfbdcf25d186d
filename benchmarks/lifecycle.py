"""The lifecycle's numbers, side by side with what a user would pick instead.

    python -m benchmarks.lifecycle [--domain D] [--clips 300] [--fresh FOLDER] [--write]

Without --fresh it measures the finished lifecycle of this project: a second run that changes
nothing, start-up times, and the certified engine against faster-whisper with the base model on the
same clips. With --fresh it first clones the project into a folder, times `make run` there with an
empty HOME, and measures that clone. --write adds the result to the project's docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import Row, machine_note, shown, write_section
from benchmarks.side_by_side import apart, clock, faster_whisper, spread
from benchmarks.watching import Watched, watch
from data.audio import read_flac
from data.features import SAMPLE_RATE
from lifecycle import adapter, engine, predictions, reports
from lifecycle.workspace import Workspace, open_workspace
from serving.engines import load_engine
from serving.engines.contracts import DecodingOptions, Samples
from voiceforge.memory import keep_freed_memory
from voiceforge.settings import load_settings

_BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--domain", default="telephony-en")
    parser.add_argument("--clips", type=int, default=300, help="clips of the speed comparison")
    parser.add_argument("--fresh", type=Path, help="new folder to clone to and `make run` in")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    project = load_settings().project
    rows: list[Row] = []
    measured = project
    if given.fresh:
        measured = given.fresh.resolve() / "voiceforge"
        rows += fresh_clone(project, given.fresh.resolve())
    workspace = open_workspace(given.domain, load_settings({}, measured))
    rows += from_artifacts(workspace)
    rows += start_up(workspace)
    rows += against_faster_whisper(workspace, given.clips)
    shown(rows)
    if given.write:
        command = f"python -m benchmarks.lifecycle{' --fresh FOLDER' if given.fresh else ''}"
        note = machine_note(command, given.remark)
        write_section(project, f"Lifecycle: {given.domain}", note, rows)


def fresh_clone(source: Path, folder: Path) -> list[Row]:
    """`make run` in a new clone with an empty HOME: wall time and peak memory."""
    clone, home = folder / "voiceforge", folder / "home"
    home.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", str(source), str(clone)], check=True)
    keep = ("PATH", "LANG", "TERM")
    environ = {
        key: value
        for key, value in os.environ.items()
        if key in keep or key.startswith(("PIP_", "UV_", "SSL_"))
    } | {"HOME": str(home)}
    first = watch(["make", "run"], clone, environ)
    (folder / "make-run.log").write_text(first.output)
    print(first.output)
    return [
        Row("make run, fresh clone, empty HOME", f"{first.seconds / 60:.1f} min", "1 run"),
        Row("peak memory of any process", f"{first.largest_bytes / 1e9:.2f} GB", "1 run"),
    ]


def from_artifacts(workspace: Workspace) -> list[Row]:
    """Training time and word error rates of the finished lifecycle."""
    trained = workspace.current(adapter.STAGE).summary
    rows = [
        Row("training", f"{trained['seconds'] / 60:.1f} min", f"{trained['steps']} steps"),
        Row(
            "peak memory of training",
            f"{trained['peak_memory_bytes'] / 1e9:.2f} GB",
            str(trained["precision"]),
        ),
    ]
    for part in workspace.current(reports.ACCURACY).summary["slices"]:
        if "base" not in part:
            continue
        difference = _interval(part, "difference", "difference_low", "difference_high")
        rows += [
            Row(
                f"word error rate, {part['slice']}: base, fine-tuned",
                f"{part['base']:.1%}, {part['word_error_rate']:.1%}",
                f"{part['compared_words']:,} and {part['words']:,} words",
            ),
            Row(
                f"difference in points, {part['slice']}",
                difference,
                f"{part['compared_words']:,} words that both heard",
            ),
            Row(
                f"fewer word errors, {part['slice']}",
                "" if part["reduction"] is None else f"{part['reduction']:.0%}",
                f"{part['compared_words']:,} words that both heard",
            ),
        ]
    return rows


def start_up(workspace: Workspace) -> list[Row]:
    """How long people wait: help, code location, a run with nothing to do."""
    project = workspace.settings.project
    own = project / ".venv" / "bin"
    command = str((own if own.is_dir() else Path(sys.executable).parent) / "voiceforge")
    load = "import pipelines.definitions"
    again = [command, "run", "--domain", workspace.domain.name]
    return [
        Row("voiceforge --help", f"{_median(lambda: watch([command, '--help'], project)):.2f} s",
            "median of 5"),
        Row("code location loads",
            f"{_median(lambda: watch([sys.executable, '-c', load], project)):.2f} s",
            "median of 5"),
        Row("voiceforge run, nothing changed", f"{watch(again, project).seconds:.1f} s", "1 run"),
    ]  # fmt: skip


def against_faster_whisper(workspace: Workspace, count: int) -> list[Row]:
    """The certified engine and faster-whisper int8 with the base weights, same clips, one run."""
    threads = workspace.settings.threads
    clips = _clips(workspace, count)
    seconds = sum(len(clip) for clip in clips) / SAMPLE_RATE
    rests_on = f"{len(clips)} clips, {seconds:.0f} s of audio, {threads} threads"
    # Each in a process of its own: faster-whisper as its user would run it, and then ours as the
    # `voiceforge` command does, which sets the C library up first.
    base = engine.engine_folder(workspace.current(engine.BASE))
    theirs = apart(faster_whisper, base, workspace.domain.language, threads, clips)
    greedy, defaults = (one.total for one in theirs)
    keep_freed_memory()
    ours = engine.engine_folder(workspace.current(engine.STAGE))
    alone, batched = apart(_voiceforge, ours, threads, clips)
    rows = []
    for name, taken in (
        ("VoiceForge int8, one clip at a time", alone),
        (f"VoiceForge int8, batches of {_BATCH}", batched),
        ("faster-whisper int8, base model, greedy, no fallback", greedy),
        ("faster-whisper int8, base model, its own defaults", defaults),
    ):
        rows.append(Row(f"RTFx: {name}", f"{seconds / taken:.1f}", rests_on))
    rows += [
        Row("throughput, one clip at a time, against greedy", f"{greedy / alone:.1f} x", rests_on),
        Row(f"throughput, batches of {_BATCH}, against greedy", f"{greedy / batched:.1f} x",
            rests_on),
        Row(f"throughput, batches of {_BATCH}, against defaults", f"{defaults / batched:.1f} x",
            rests_on),
    ]  # fmt: skip
    return rows


def _voiceforge(folder: Path, threads: int, clips: Sequence[Samples]) -> tuple[float, float]:
    """Seconds of the engine on the clips: one at a time, and in batches of like length."""
    ours = load_engine(folder, threads=threads)
    ordered = sorted(clips, key=len)
    batches = [ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH)]
    options = DecodingOptions()
    ours.transcribe(batches[0], options)
    return (
        clock(lambda: [ours.transcribe([clip], options) for clip in clips]),
        clock(lambda: [ours.transcribe(batch, options) for batch in batches]),
    )


def _clips(workspace: Workspace, count: int) -> list[Samples]:
    """Held-out clips of all lengths."""
    heard = spread(predictions.test_utterances(workspace), count)
    return [read_flac(workspace.corpus / row.audio) for row in heard]


def _median(run: Callable[[], Watched]) -> float:
    return sorted(run().seconds for _ in range(5))[2]


def _interval(part: Mapping[str, Any], value: str, low: str, high: str) -> str:
    return f"{100 * part[value]:+.2f} [{100 * part[low]:+.2f}, {100 * part[high]:+.2f}]"


if __name__ == "__main__":
    main()
