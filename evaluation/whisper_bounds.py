"""Bounds of Whisper's own decoding (OpenAI, whisper/transcribe.py): how sure is sure enough."""

import zlib

LEAST_LOG_PROB = -1.0
"""Mean natural log-probability of a transcript's tokens; below it that is not believed."""

MOST_NO_SPEECH = 0.6
"""Probability of `<|nospeech|>`; above it what is not believed is taken for silence."""

MOST_COMPRESSION = 2.4
"""Bytes of a transcript over those of its zlib form; above it the transcript repeats itself."""


def compression_ratio(text: str) -> float:
    """Bytes of the text over bytes of its zlib compression, as Whisper's; 0 for an empty text."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0
