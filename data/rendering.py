"""Render planned recordings to FLAC in a few processes, so that none of them can stop the rest.

Finished files are named by what they were made from, so that a build that was killed finds them
again. A recording that takes its process down is tried once more alone and then rejected.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data.sources.base import FileAudio, Recording, Reject
from voiceforge.errors import AudioError, StageError, VoiceForgeError
from voiceforge.files import sha256_file, storage_errors

SHORTEST = 0.1
LONGEST = 30.0
"""Seconds of audio that an utterance may have; Whisper hears no more than 30 at once."""

_SILENCE = 0.001
"""Peak, of 1: -60 dBFS, below any voice and above the noise of 16 bits."""

_CHUNK = 16
_AHEAD = 2
"""Chunks of recordings waiting for each process: enough to keep it busy, few enough to forget."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recording and the FLAC it becomes."""

    recording: Recording
    target: Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished FLAC: its seconds of audio and the sha256 of its bytes."""

    seconds: float
    sha256: str


Outcome = Rendered | Reject
"""A finished file, or why there is none."""


def render_all(
    jobs: Sequence[Job], workers: int, progress: Callable[[int, int], None]
) -> list[Outcome]:
    """Render every job in `workers` processes; outcomes in the order of the jobs.

    Raises:
        StorageError: a file could not be written.
        StageError: processes could not be started.
    """
    outcomes: dict[int, Outcome] = {}
    waiting = list(_chunks(range(len(jobs)), _CHUNK))[::-1]

    def finish(numbers: Sequence[int], results: Sequence[Outcome]) -> None:
        outcomes.update(zip(numbers, results, strict=True))
        progress(len(outcomes), len(jobs))

    while waiting:
        lost = _run(jobs, waiting, workers, finish)
        for number, outcome in _one_by_one(jobs, lost):
            finish([number], [outcome])
    return [outcomes[number] for number in range(len(jobs))]


def _run(
    jobs: Sequence[Job],
    waiting: list[Sequence[int]],
    workers: int,
    finish: Callable[[Sequence[int], Sequence[Outcome]], None],
) -> list[int]:
    """Work `waiting` off until it is empty or a process dies; returns what was under way then."""
    running: dict[Future[list[Outcome]], Sequence[int]] = {}
    with _processes(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < _AHEAD * workers:
                    future = pool.submit(_render, [jobs[number] for number in waiting[-1]])
                    running[future] = waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    finish(running.pop(future), results)
        except BrokenProcessPool:
            return [number for chunk in running.values() for number in chunk]
    return []


def _one_by_one(jobs: Sequence[Job], numbers: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    """Render the jobs of these numbers one at a time, to find those that end their process."""
    left = list(numbers)
    while left:
        with _processes(1) as pool:
            try:
                while left:
                    outcome = pool.submit(_render, [jobs[left[0]]]).result()[0]
                    yield left.pop(0), outcome
            except BrokenProcessPool:
                why = "Decoding it ended the process that tried to."
                yield left[0], _reject(jobs[left.pop(0)], "crashed", why)


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: the parent has threads (Dagster's, Arrow's) whose locks a fork copies.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)
    try:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise StageError(
                "The processes that decode recordings could not be started. A script that builds a "
                "corpus must do so under `if __name__ == '__main__':`; otherwise see the lines "
                "above for what went wrong."
            ) from error
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _render(jobs: Sequence[Job]) -> list[Outcome]:
    return [_render_one(job) for job in jobs]


def _render_one(job: Job) -> Outcome:
    from data.audio import SAMPLE_RATE, encode_flac
    from data.sources import render

    if finished := _finished(job.target):
        return finished
    try:
        samples = render(job.recording, LONGEST)
    except AudioError as error:
        # The table travels; a path of the machine that made it says nothing elsewhere.
        audio = job.recording.audio
        path = str(audio.path) if isinstance(audio, FileAudio) else job.recording.where
        detail = str(error).replace(path, job.recording.where)
        return _reject(job, error.reason, detail)
    except VoiceForgeError:
        raise
    except Exception as error:  # whatever a decoder throws at one recording spares the others
        return _reject(job, "undecodable", f"{type(error).__name__}: {error}")
    seconds = samples.size / SAMPLE_RATE
    if seconds < SHORTEST:
        return _reject(job, "too-short", f"It lasts {seconds:.3f} s; at least {SHORTEST} s.")
    if seconds > LONGEST:
        return _reject(job, "too-long", f"It lasts {seconds:.1f} s; at most {LONGEST:g} s.")
    if (peak := float(abs(samples).max())) < _SILENCE:
        return _reject(job, "silent", f"Its loudest sample is {peak:.5f} of 1.")
    content = encode_flac(samples)
    _write(job.target, content)
    return Rendered(seconds, hashlib.sha256(content).hexdigest())


def _finished(target: Path) -> Rendered | None:
    """The whole file of an earlier, interrupted build, if there is one."""
    from data.audio import SAMPLE_RATE, read_flac

    try:
        return Rendered(read_flac(target).size / SAMPLE_RATE, sha256_file(target))
    except AudioError:
        return None


def _write(target: Path, content: bytes) -> None:
    """Whole or not at all, as `write_bytes`, but not forced to the disk one by one.

    Waiting for the disk would take most of a build. A power cut can spoil files this way, which
    `_finished` finds by FLAC's checksums.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(target)


def _reject(job: Job, reason: str, detail: str) -> Reject:
    recording = job.recording
    return Reject(recording.id, recording.source, recording.where, reason, detail)


def _chunks(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
