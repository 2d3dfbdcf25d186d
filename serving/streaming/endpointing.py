"""Is a frame of audio speech? An energy threshold that follows the noise floor."""

from __future__ import annotations

from collections import deque

import numpy as np

from data.features import SAMPLE_RATE
from serving.engines.contracts import Samples

FRAME = SAMPLE_RATE // 50
"""Samples of a frame, 20 ms."""

_FLOOR_FRAMES = 250
_FLOOR_PERCENTILE = 10.0
_ABOVE_FLOOR = 12.0
_LEAST, _MOST = -50.0, -32.0
_SILENCE = -100.0


class EnergyDetector:
    """Tells speech from silence, frame by frame, without looking ahead.

    A frame is speech when its level is 12 dB above the noise floor, the 10th percentile of the
    last 5 s; the threshold stays between -50 and -32 dB below full scale, so that neither digital
    silence nor steady speech moves it out of reach.
    """

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES)

    def is_speech(self, frame: Samples) -> bool:
        """Classify the next frame, shape [320] (the last of a stream may be shorter)."""
        power = float(np.mean(np.square(frame, dtype=np.float64))) if len(frame) else 0.0
        level = 10.0 * np.log10(power) if power > 1e-10 else _SILENCE
        self._levels.append(level)
        floor = float(np.percentile(self._levels, _FLOOR_PERCENTILE))
        return bool(level >= min(_MOST, max(_LEAST, floor + _ABOVE_FLOOR)))
