"""Start the training process, follow it, and make sure that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge import errors
from voiceforge.errors import AudioError, StageError, VoiceForgeError
from voiceforge.files import storage_errors, write_json

LOG = "training.log"
_LAST_LINES = 12
_GRACE_SECONDS = 5.0


def run_training(
    spec: TrainingSpec, workspace: Path, on_progress: Callable[[TrainingProgress], None]
) -> TrainingReport:
    """Train in a process (group) of its own; a crash or a leak stays there.

    Args:
        spec: what to train on and how.
        workspace: folder of checkpoints and of the log; a killed run continues from it.
        on_progress: called with every piece of news, in this process.

    Raises:
        UsageError: what the spec asks for cannot be trained; see `training.lora.train`.
        AudioError: a recording of the corpus cannot be read; names it.
        StorageError: a disk is full or read-only.
        StageError: the process crashed; the message holds the last lines of its log.
        KeyboardInterrupt: passed on after the process group has ended.
    """
    request, log = workspace / "spec.json", workspace / LOG
    write_json(request, {"spec": spec.as_dict(), "workspace": str(workspace)})
    with storage_errors(log), log.open("w") as sink:
        process = subprocess.Popen(
            _command(spec.processes, request),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            start_new_session=True,
            env=_environment(max(1, spec.threads // spec.processes)),
        )
        try:
            ending = _follow(process.stdout or [], on_progress)
            process.wait()
        finally:
            _end(process)
    if "report" in ending:
        return TrainingReport.from_dict(ending["report"])
    if "error" in ending:
        raise _as_raised(ending["error"])
    raise StageError(_crash(process.returncode, log))


def _command(processes: int, request: Path) -> list[str]:
    """One process, or as many as asked under torchrun, which ends all when one of them dies."""
    worker = ["-m", "training.worker", str(request)]
    if processes == 1:
        return [sys.executable, *worker]
    shared = ["--standalone", "--local-addr", "localhost", "--nproc-per-node", str(processes)]
    return [sys.executable, "-m", "torch.distributed.run", *shared, *worker]


def _follow(
    lines: Iterable[str], on_progress: Callable[[TrainingProgress], None]
) -> dict[str, Any]:
    """Pass on progress until the output ends; returns the first line that is no progress."""
    ending: dict[str, Any] = {}
    for line in lines:
        news = json.loads(line)
        if "progress" in news:
            on_progress(TrainingProgress.from_dict(news["progress"]))
        else:
            ending = ending or news
    return ending


def _end(process: subprocess.Popen[str]) -> None:
    """End the whole group: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(threads: int) -> Mapping[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
        # On a busy machine threads that spin for the slowest one multiply a step's time: 5.3 s
        # instead of 1.2 were seen beside one other process.
        "GOMP_SPINCOUNT": "1000",
        # Batches differ in length, and glibc keeps the holes that long ones leave: without a fixed
        # threshold the peak of whisper-base is 3.2 GB instead of 2.6.
        "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(128 << 10),
        "MALLOC_ARENA_MAX": "1",
    }


def _as_raised(fields: Mapping[str, str]) -> VoiceForgeError:
    if fields["kind"] == AudioError.__name__:
        return AudioError(fields["message"], reason=fields["reason"])
    kind = getattr(errors, fields["kind"], StageError)
    return kind(fields["message"])


def _crash(status: int, log: Path) -> str:
    """What is known about a process that ended without a word."""
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    text = log.read_text(errors="replace")
    # Of several processes torchrun says in the log how the first of them ended.
    killed = status == -signal.SIGKILL or signal.SIGKILL.name in text
    hint = " (SIGKILL is often: no memory left)" if killed else ""
    said = "\n".join(f"  {line}" for line in text.splitlines()[-_LAST_LINES:]) or "  (nothing)"
    return (
        f"The training process ended with {how}{hint} before its report. Run again: it continues "
        f"from its last checkpoint. Its log is {log}; the last lines:\n{said}"
    )
