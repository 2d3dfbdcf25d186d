"""Where somebody speaks: Silero VAD 6 through ONNX Runtime, without PyTorch.

Source: Silero Team, "Silero VAD" (github.com/snakers4/silero-vad). Its package ships the model that
hears all windows of a clip in one call; the windows are those of its own `sequence_vad` module,
which cannot be imported here because the package imports torch.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data.features import SAMPLE_RATE, Floats
from voiceforge.errors import StageError

WINDOW = 512
"""Samples that get one probability, 32 ms."""

_CONTEXT = 64
_STATE = (1, 1, 128)
_AT_ONCE = 16_384
"""Windows that the model hears in one call, 9 minutes; longer recordings take several."""
SPEECH = 0.5
"""Probability from which on a window counts as speech, Silero's own default."""


def speech_seconds(samples: Floats) -> float:
    """Seconds of windows in which Silero VAD finds speech at least as likely as not.

    Args:
        samples: mono audio at 16 kHz, shape [samples].
    """
    heard = int((speech_probabilities(samples) >= SPEECH).sum()) * WINDOW
    return min(heard, samples.size) / SAMPLE_RATE


def speech_probabilities(samples: Floats) -> Floats:
    """The probability of speech in each window, the last one padded with silence.

    Args:
        samples: mono audio at 16 kHz, shape [samples], at least one.

    Returns:
        float32, shape [windows], 0..1.

    Raises:
        StageError: the package silero-vad is not there or has no such model.
    """
    count = -(-samples.size // WINDOW)
    hidden = cell = np.zeros(_STATE, np.float32)
    found = []
    for first in range(0, count, _AT_ONCE):
        last = min(count, first + _AT_ONCE)
        # Each window follows the end of the one before; before the first there is silence.
        block = np.zeros((last - first) * WINDOW + _CONTEXT, np.float32)
        given = samples[max(0, first * WINDOW - _CONTEXT) : last * WINDOW]
        begin = _CONTEXT if first == 0 else 0
        block[begin : begin + len(given)] = given
        windows = sliding_window_view(block, _CONTEXT + WINDOW)[::WINDOW]
        feeds = {"input": np.ascontiguousarray(windows), "h": hidden, "c": cell}
        probabilities, hidden, cell = _session().run(["speech_probs", "hn", "cn"], feeds)
        found.append(probabilities.reshape(-1))
    heard: Floats = np.concatenate(found)
    return heard


def silero_model() -> Path:
    """The model's file: of the package silero-vad, or beside this one, where a Bento has it.

    Raises:
        StageError: it is in neither place.
    """
    beside = Path(__file__).with_name(_MODEL)
    package = importlib.util.find_spec("silero_vad")
    model = package and package.origin and Path(package.origin).with_name("data") / _MODEL
    for found in (beside, model):
        if found and found.is_file():
            return found
    raise StageError(
        f"The package silero-vad with its {_MODEL} is not installed. Install it: "
        "`pip install 'silero-vad>=6.2'`."
    )


@cache
def _session() -> Any:
    """The model, one thread: corpora are measured in as many processes as there are cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(silero_model()), options, ["CPUExecutionProvider"])


_MODEL = "silero_vad_16k_sequence.onnx"
