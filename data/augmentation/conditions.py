"""The audio of test conditions: speech made worse, and sounds in which nobody speaks.

Everything is drawn from a key: the same seed, utterance and kind give the same noise in every
process. The level is no part of the key, so that along a curve only the level changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.clipping import clip_peaks
from data.augmentation.codecs import through_codec
from data.augmentation.level import mean_level
from data.augmentation.no_speech import no_speech
from data.augmentation.noise import add_noise, babble, pink_noise, white_noise
from data.augmentation.packet_loss import PACKET, conceal, draw_losses
from data.augmentation.rooms import draw_room, impulse_response, reverberate
from data.augmentation.samples import generator, within_range
from data.conditions import Condition, NoSpeechKind
from voiceforge.errors import UsageError

TALKERS = 6
"""Voices of a babble: no single one can be followed."""

_DISTANCE = 1.5
"""Metres from mouth to microphone in a room."""
_BURST = 2.0
"""Packets lost in a row, on average."""
_LEVEL = -30.0
"""dB relative to full scale of sounds without speech: speech is at about -26 (ITU-T P.56)."""


def degrade(
    samples: Samples,
    condition: Condition,
    *,
    seed: int,
    utterance_id: str,
    voices: Sequence[Samples] = (),
) -> Samples:
    """A clip as it is heard under a condition: as long as it was, speech where it was.

    Args:
        samples: the clip, mono at 16 kHz.
        condition: what happens to it.
        seed: of the test.
        utterance_id: of the clip.
        voices: clips of other people, of which `TALKERS` are drawn for a babble.

    Raises:
        UsageError: babble without voices.
    """
    kind, level = condition.kind, condition.level
    rng = generator("condition", seed, kind, utterance_id)
    if not samples.size:
        return samples
    if kind in ("mu-law", "a-law", "gsm"):
        return through_codec(samples, kind)
    if level is None:  # Condition itself has seen to it
        raise UsageError(f"{kind} needs a level.")
    if kind == "opus":
        return through_codec(samples, "opus", round(1000.0 * level))
    if kind == "clipping":
        return clip_peaks(samples, level)
    if kind == "room":
        room = draw_room(rng, (level, level), (_DISTANCE, _DISTANCE))
        return reverberate(samples, impulse_response(room))
    if kind == "packet loss":
        lost = draw_losses(math.ceil(len(samples) / PACKET), level / 100.0, _BURST, rng)
        return conceal(samples, lost, "repeat")
    if kind == "babble":
        if not voices:
            raise UsageError(
                "Babble is mixed from other recordings, and none were given. Give clips of other "
                "speakers, or leave babble out of the conditions."
            )
        chosen = [voices[index] for index in rng.integers(len(voices), size=TALKERS)]
        return add_noise(samples, babble(len(samples), chosen, rng), level)
    noise = white_noise if kind == "white noise" else pink_noise
    return add_noise(samples, noise(len(samples), rng), level)


def without_speech(
    kind: NoSpeechKind, seconds: float, *, seed: int, number: int, music: Sequence[Samples] = ()
) -> Samples:
    """A clip in which nobody speaks, at -30 dB relative to full scale but for silence.

    Args:
        kind: digital silence, noise, tones of a telephone line, or an excerpt of music.
        seconds: its length.
        seed: of the test.
        number: of the clip: others sound otherwise.
        music: pieces to take excerpts of (`data.music`), each at least as long as the clip.

    Raises:
        UsageError: music without a piece that is long enough.
    """
    length = round(seconds * SAMPLE_RATE)
    rng = generator("no speech", seed, kind, number)
    if kind == "music":
        pieces = [piece for piece in music if len(piece) >= length]
        if not pieces:
            raise UsageError(
                f"None of {len(music)} pieces of music lasts {seconds:g} s. Give longer ones, or "
                "leave music out."
            )
        piece = pieces[rng.integers(len(pieces))]
        start = int(rng.integers(len(piece) - length, endpoint=True))
        excerpt = piece[start : start + length]
        level = mean_level(excerpt)
        gain = 10.0 ** ((_LEVEL - level) / 20.0) if math.isfinite(level) else 1.0
        return within_range(excerpt * np.float32(gain))
    none = np.zeros(0, np.float32)
    if kind in ("white noise", "pink noise"):
        return no_speech("white" if kind == "white noise" else "pink", length, _LEVEL, none, rng)
    return no_speech("silence" if kind == "silence" else "tones", length, _LEVEL, none, rng)
