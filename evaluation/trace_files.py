"""Traces on disk: JSON Lines, a stream a line, each as `Trace.as_dict` gives it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from evaluation.traces import Trace
from voiceforge.errors import StorageError
from voiceforge.files import storage_errors, write_text


def write_traces(path: Path, traces: Sequence[Trace]) -> None:
    """Write traces, all or none.

    Raises:
        StorageError: the disk is full or read-only.
    """
    lines = [json.dumps(trace.as_dict(), ensure_ascii=False, allow_nan=False) for trace in traces]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_traces(path: Path) -> list[Trace]:
    """Read what `write_traces` wrote; empty lines do not count.

    Raises:
        StorageError: it is missing, or a line is no trace; names the line and what is wrong.
    """
    try:
        with storage_errors(path):
            lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing. Record the streams again.") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is no text ({error}), so it holds no traces.") from error
    traces = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("it is no JSON object")
            traces.append(Trace.from_dict(fields))
        except ValueError as error:
            raise StorageError(
                f"{path}, line {number} is no trace: {error}. Record the streams again, or take "
                "the line out."
            ) from error
    return traces
