"""Render planned recordings to FLAC in a few processes, so that none of them can stop the rest.

Each is decoded or spoken, measured, and written under its content's name while its samples are at
hand. A recording that takes its process down is tried once more alone and then refused.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from data.audio_cache import WHERE, Kept, Result, Unusable, flac_path
from data.sources.base import FileAudio, Recording
from voiceforge.errors import AudioError, StageError, VoiceForgeError
from voiceforge.files import sha256_file, storage_errors

if TYPE_CHECKING:
    from data.decoding import Decoded

SHORTEST = 0.1
LONGEST = 30.0
"""Seconds of audio that an utterance has by default; Whisper hears no more than 30 at once."""

_SILENCE = 0.001
"""Peak, of 1: -60 dBFS, below any voice and above the noise of 16 bits."""

_CHUNK = 16
_AHEAD = 2
"""Chunks of recordings waiting for each process: enough to keep it busy, few enough to forget."""


def render_all(
    recordings: Sequence[Recording], cache: Path, workers: int, longest: float = LONGEST
) -> Iterator[dict[int, Result]]:
    """Render recordings in `workers` processes, their FLACs into the `AudioCache` folder `cache`.

    Args:
        longest: seconds; what lasts longer is unusable.

    Yields:
        Results by position in `recordings`, each once, a few at a time as they are finished.

    Raises:
        StorageError: a file could not be written.
        StageError: processes could not be started.
    """
    # Segments of one long file one after another: its pages are read once.
    order = sorted(range(len(recordings)), key=lambda number: _place(recordings[number], number))
    waiting = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)][::-1]
    while waiting:
        lost: list[int] = []
        yield from _run(recordings, cache, waiting, workers, lost, longest)
        yield from _one_by_one(recordings, cache, lost, longest)


def _place(recording: Recording, number: int) -> tuple[str, float, int]:
    if isinstance(recording.audio, FileAudio):
        return str(recording.audio.path), recording.audio.start, number
    return "", 0.0, number


def _run(
    recordings: Sequence[Recording],
    cache: Path,
    waiting: list[list[int]],
    workers: int,
    lost: list[int],
    longest: float,
) -> Iterator[dict[int, Result]]:
    """Work `waiting` off until it is empty or a process dies; then what was under way is `lost`."""
    running: dict[Future[list[Result]], list[int]] = {}
    with _processes(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < _AHEAD * workers:
                    # A chunk leaves `waiting` only when the pool has taken it.
                    chunk = [recordings[number] for number in waiting[-1]]
                    future = pool.submit(_render, chunk, cache, longest)
                    running[future] = waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    yield dict(zip(running.pop(future), results, strict=True))
        except BrokenProcessPool:
            lost += [number for chunk in running.values() for number in chunk]


def _one_by_one(
    recordings: Sequence[Recording], cache: Path, numbers: Sequence[int], longest: float
) -> Iterator[dict[int, Result]]:
    """Render these one at a time, to find those that end their process."""
    left = list(numbers)
    while left:
        with _processes(1) as pool:
            try:
                while left:
                    result = pool.submit(_render, [recordings[left[0]]], cache, longest).result()[0]
                    yield {left.pop(0): result}
            except BrokenProcessPool:
                why = f"Decoding {WHERE} ended the process that tried to."
                yield {left.pop(0): Unusable("crashed", why)}


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


def _render(recordings: Sequence[Recording], cache: Path, longest: float) -> list[Result]:
    return [_render_one(recording, cache, longest) for recording in recordings]


def _render_one(recording: Recording, cache: Path, longest: float) -> Result:
    from data.sources import render

    # The table travels; a path of the machine that made it says nothing elsewhere.
    audio = recording.audio
    path = str(audio.path) if isinstance(audio, FileAudio) else recording.where
    try:
        made = _made(render(recording, longest), longest)
    except AudioError as error:
        return Unusable(error.reason, str(error).replace(path, WHERE))
    except VoiceForgeError:
        raise
    except Exception as error:  # whatever one recording makes a decoder throw spares the others
        why = f"{type(error).__name__}: {error}"
        return Unusable("undecodable", why.replace(path, WHERE))
    if isinstance(made, Unusable):
        return made
    content, kept = made
    _write(flac_path(cache, kept.sha256), content, kept.sha256)
    return kept


def _made(decoded: Decoded, longest: float) -> tuple[bytes, Kept] | Unusable:
    """The FLAC of what was decoded and what is known of it, or why it is no utterance."""
    from data.audio import SAMPLE_RATE, encode_flac
    from data.measuring import measure

    samples = decoded.samples
    seconds = samples.size / SAMPLE_RATE
    if seconds < SHORTEST:
        return Unusable("too-short", f"It lasts {seconds:.3f} s; at least {SHORTEST} s.")
    if seconds > longest:
        return Unusable("too-long", f"It lasts {seconds:.1f} s; at most {longest:g} s.")
    if (peak := float(abs(samples).max())) < _SILENCE:
        return Unusable("silent", f"Its loudest sample is {peak:.5f} of 1.")
    measured = measure("", decoded)
    for name, value in asdict(measured).items():
        if isinstance(value, float) and not math.isfinite(value):
            return Unusable("undecodable", f"Its {name} comes out as {value}.")
    content = encode_flac(samples)
    return content, Kept(hashlib.sha256(content).hexdigest(), seconds, measured)


def _write(target: Path, content: bytes, sha256: str) -> None:
    """Whole or not at all, as `write_bytes`, but not forced to the disk one by one.

    Waiting for the disk would take most of a build. A power cut can spoil files this way, which
    `AudioCache.link` finds. What is there already and whole stays: corpora share it.
    """
    with storage_errors(target):
        if target.is_file() and sha256_file(target) == sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(target)
