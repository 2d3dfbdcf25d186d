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

from data.features import SAMPLE_RATE, Floats
from voiceforge.errors import StageError

WINDOW = 512
"""Samples that get one probability, 32 ms."""

_CONTEXT = 64
_STATE = (1, 1, 128)
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
    windows = np.zeros((count, _CONTEXT + WINDOW), np.float32)
    padded = np.pad(samples, (0, count * WINDOW - samples.size)).reshape(count, WINDOW)
    windows[:, _CONTEXT:] = padded
    windows[1:, :_CONTEXT] = padded[:-1, -_CONTEXT:]
    state = np.zeros(_STATE, np.float32)
    feeds = {"input": windows, "h": state, "c": state}
    probabilities: Floats = _session().run(["speech_probs"], feeds)[0]
    return probabilities.reshape(-1)


@cache
def _session() -> Any:
    """The model, one thread: corpora are measured in as many processes as there are cores."""
    import onnxruntime

    package = importlib.util.find_spec("silero_vad")
    model = package and package.origin and Path(package.origin).with_name("data") / _MODEL
    if not model or not model.is_file():
        raise StageError(
            f"The package silero-vad with its {_MODEL} is not installed. Install it: "
            "`pip install 'silero-vad>=6.2'`."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])


_MODEL = "silero_vad_16k_sequence.onnx"
