"""The eSpeak NG library through ctypes: which voices it has, and speech from text, in-process."""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data.audio import Samples, resample
from voiceforge.errors import AudioError, StageError, UsageError

# From eSpeak NG's speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT, _CHARACTERS, _UTF8 = 2, 0x8000, 1, 1
_SEED = 1
"""Of the breath in eSpeak's voices, which it would otherwise take from the clock."""
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Voice(ctypes.Structure):
    """The head of `espeak_VOICE`; `languages` is a priority byte and a tag, again and again."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
    )


_loading = threading.Lock()


def accents(language: str) -> list[str]:
    """eSpeak's voices of a language as tags such as "en-gb-scotland", sorted."""
    return sorted(tag for tag in _identifiers() if tag.split("-")[0] == language)


def voices() -> list[str]:
    """eSpeak's voice variants, sorted; some are people, some are effects."""
    folder = _data_folder() / "voices" / "!v"
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def speak(text: str, voice: str) -> Samples:
    """Speak a text; equal arguments give equal samples, whatever was spoken before.

    Args:
        text: what to say.
        voice: accent and variant, such as "en-gb-scotland+f2".

    Raises:
        UsageError: eSpeak does not know the accent.
        AudioError: it said nothing, reason "synthesis".
    """
    accent, _, variant = voice.partition("+")
    if accent not in _identifiers():
        raise UsageError(f"eSpeak NG has no accent {accent!r}.")
    identifier = f"{_identifiers()[accent]}+{variant}".rstrip("+").encode()
    heard: list[bytes] = []

    def keep(samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _CALLBACK(keep)
    with _library() as (library, rate):
        library.espeak_SetSynthCallback(callback)
        content = text.encode()
        size = ctypes.c_size_t(len(content) + 1)
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        status = library.espeak_SetVoiceByName(identifier) or library.espeak_Synth(
            content, size, 0, _CHARACTERS, 0, _UTF8, None, None
        )
    if status != 0 or not heard:
        raise AudioError(f"eSpeak NG said nothing for {text!r} ({status}).", reason="synthesis")
    samples = np.frombuffer(b"".join(heard), dtype=np.int16).astype(np.float32) / 32768.0
    return resample(samples, rate)


@functools.cache
def _identifiers() -> dict[str, str]:
    """Tag -> the name of its voice file, the only one that selects every voice."""
    found: dict[str, str] = {}
    with _library() as (library, _):
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        listed = library.espeak_ListVoices(None)
        at = 0
        while listed[at]:
            voice = listed[at].contents
            tag = ctypes.string_at(voice.languages + 1).decode()
            found.setdefault(tag, voice.identifier.decode())
            at += 1
    return found


@contextlib.contextmanager
def _library() -> Iterator[tuple[Any, int]]:
    """The library as if no one had used it, and its sample rate in Hz.

    eSpeak keeps phases, echoes and random states from one utterance to the next, and initializing
    it again does not clear them; loading it anew does, for about 3 ms.
    """
    import espeakng_loader

    with _loading:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            data = str(_data_folder()).encode()
            rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT))
            if rate <= 0:
                raise StageError(
                    f"eSpeak NG could not start ({rate}) with its data in {_data_folder()}. "
                    "Install the package espeakng-loader again."
                )
            yield library, rate
        finally:
            library.espeak_Terminate()
            _ctypes.dlclose(library._handle)


def _data_folder() -> Path:
    import espeakng_loader

    return Path(espeakng_loader.get_data_path())
