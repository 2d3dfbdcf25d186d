"""The training process: `python -m training.worker SPEC.json`, or several through torchrun.

SPEC.json holds {"spec": ..., "workspace": ...}. Standard output carries one JSON object a line:
{"progress": ...} while it trains, then {"report": ...} or {"error": {"kind", "message"}}, for an
AudioError with its "reason". Whatever a library prints goes to standard error. Of several processes
only the first tells progress and the report; an error is told by whoever had it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from training.recipe import TrainingProgress, TrainingSpec
from voiceforge.errors import AudioError, StorageError, VoiceForgeError
from voiceforge.files import as_storage_error, read_json
from voiceforge.processes import end_with_parent

_HALF_WRITTEN = ("inline_container.cc", "PytorchStreamWriter failed", "iostream error")
"""What `torch.save` says of a file that the disk did not take; it does not pass on why."""


def main(arguments: list[str]) -> int:
    """Train what the spec file asks for; the exit status is 0 when the report was written."""
    fields = read_json(Path(arguments[0]))
    workspace = Path(fields["workspace"])
    end_with_parent()
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def say(kind: str, value: Any) -> None:
        lines.write(json.dumps({kind: value}) + "\n")

    def on_progress(progress: TrainingProgress) -> None:
        say("progress", progress.as_dict())

    try:
        from transformers.utils import logging

        from training.lora import take_part

        logging.set_verbosity_error()
        report = take_part(TrainingSpec.from_dict(fields["spec"]), workspace, on_progress)
    except Exception as error:
        known = error if isinstance(error, VoiceForgeError) else _storage_error(error, workspace)
        if known is None:
            raise
        reason = {"reason": known.reason} if isinstance(known, AudioError) else {}
        say("error", {"kind": type(known).__name__, "message": str(known), **reason})
        return known.exit_code
    if report is not None:
        say("report", report.as_dict())
    return 0


def _storage_error(error: Exception, workspace: Path) -> StorageError | None:
    """The `StorageError` behind an error of safetensors, torch or the trainer, if there is one."""
    if known := as_storage_error(error):
        return known
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _HALF_WRITTEN):
        return StorageError(
            f"A checkpoint in {workspace} could not be written whole; most likely the disk is "
            "full. Free some space (`voiceforge gc` removes artifacts that nothing needs) and run "
            "again: training continues from its last checkpoint."
        )
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
