"""A recording of a source as a row of a corpus, for tests that need no whole corpus."""

from __future__ import annotations

from data.audio import SAMPLE_RATE, Samples
from data.sources.base import Recording
from data.utterance import Split, Utterance


def utterance(recording: Recording, samples: Samples, split: Split) -> Utterance:
    """The row of `ID.flac`, in the domain telephony-en."""
    return Utterance(
        id=recording.id,
        audio=f"{recording.id}.flac",
        duration=len(samples) / SAMPLE_RATE,
        text=recording.text,
        language=recording.language,
        accent=recording.accent,
        speaker=recording.speaker,
        domain="telephony-en",
        source=recording.source,
        licence=recording.licence,
        consent=recording.consent,
        split=split,
        is_synthetic=False,
        audio_sha256="",
    )
