"""Speech whose words have known times: eSpeak NG tells when it begins each."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from data.audio import Samples, resample
from data.sources import espeak_library as espeak

# From eSpeak NG's speak_lib.h.
_WORD, _END = 1, 5


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def speak_words(text: str, voice: str) -> tuple[Samples, list[float]]:
    """Speech, and the seconds at which its words start, then the second at which it ends."""
    heard: list[bytes] = []
    words: list[float] = []
    ends: list[float] = []

    def keep(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            heard.append(ctypes.string_at(samples, 2 * count))
        at = 0
        while events and events[at].type:
            times = {_WORD: words, _END: ends}.get(events[at].type)
            if times is not None:
                times.append(events[at].audio_position / 1000)
            at += 1
        return 0

    callback = _CALLBACK(keep)
    accent, _, variant = voice.partition("+")
    identifier = f"{espeak._identifiers()[accent]}+{variant}".rstrip("+").encode()
    with espeak._library() as (library, rate):
        library.espeak_SetSynthCallback(callback)
        content = text.encode()
        size = ctypes.c_size_t(len(content) + 1)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        assert not library.espeak_SetVoiceByName(identifier)
        assert not library.espeak_Synth(content, size, 0, 1, 0, 1, None, None)
    samples = np.frombuffer(b"".join(heard), dtype=np.int16).astype(np.float32) / 32768.0
    return resample(samples, rate), [*words, ends[-1]]
