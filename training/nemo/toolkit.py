"""Importing NeMo: late, since it takes half a minute of CPU and 700 MB, and quietly."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from voiceforge.errors import UsageError

_TALKATIVE = (
    "nv_one_logger.api.config",
    "nv_one_logger.training_telemetry.api.training_telemetry_provider",
    "lightning.pytorch",
)


def nemo_asr() -> Any:
    """The package `nemo.collections.asr`; what it has to say below an error is not printed.

    Raises:
        UsageError: NeMo is not installed.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    # NeMo sets this logger's level anew when it is imported, so a level would not last.
    logger = logging.getLogger("nemo_logger")
    if _only_errors not in logger.filters:
        logger.addFilter(_only_errors)
    try:
        return importlib.import_module("nemo.collections.asr")
    except ModuleNotFoundError as error:
        if error.name not in ("nemo", "nemo.collections", "nemo.collections.asr"):
            raise
        raise UsageError(
            "training.backend is nemo, and NeMo is not installed here. Install it with "
            "`pip install 'voiceforge[nemo]'` (about 1 GB)."
        ) from error


def _only_errors(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
