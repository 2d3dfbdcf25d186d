"""The training process: `python -m training.worker SPEC.json`.

SPEC.json holds {"spec": ..., "workspace": ...}. Standard output carries one JSON object a line:
{"progress": ...} while it trains, then {"report": ...} or {"error": {"kind", "message"}}, for an
AudioError with its "reason". Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from training.recipe import TrainingProgress, TrainingSpec
from voiceforge.errors import AudioError, VoiceForgeError
from voiceforge.files import read_json


def main(arguments: list[str]) -> int:
    """Train what the spec file asks for; the exit status is 0 when the report was written."""
    fields = read_json(Path(arguments[0]))
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def say(kind: str, value: Any) -> None:
        lines.write(json.dumps({kind: value}) + "\n")

    def on_progress(progress: TrainingProgress) -> None:
        say("progress", progress.as_dict())

    try:
        from transformers.utils import logging

        from training.lora import train

        logging.set_verbosity_error()
        report = train(
            TrainingSpec.from_dict(fields["spec"]), Path(fields["workspace"]), on_progress
        )
    except VoiceForgeError as error:
        reason = {"reason": error.reason} if isinstance(error, AudioError) else {}
        say("error", {"kind": type(error).__name__, "message": str(error), **reason})
        return error.exit_code
    say("report", report.as_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
