"""The types at which engines, evaluation and the service meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from evaluation.estimate import Estimate
from evaluation.whisper_bounds import LEAST_LOG_PROB, MOST_COMPRESSION, MOST_NO_SPEECH

Samples = npt.NDArray[np.float32]
"""Mono audio at 16 kHz, shape [samples], values in -1..1."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to build.

    Attributes:
        kind: "ctranslate2" or "onnxruntime".
        precision: of its weights, one that `serving.engines.offered.OFFERED` has of the kind.
        minimum_mel_frames: shortest mel, in 10 ms frames, that the model was trained to hear;
            3000 (30 s) for a base model, which only knows padded windows.
        language: ISO 639-1 code that the model is decoded with.
    """

    kind: str
    precision: str
    minimum_mel_frames: int
    language: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """The speech that an engine's static int8 was fitted to.

    Attributes:
        clips: recordings.
        seconds: of them all.
        sha256: of their samples, each after the other, in their order.
        method: how ranges were chosen, such as "percentile 99.99".
    """

    clips: int
    seconds: float
    sha256: str
    method: str


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """The content of `engine.json`.

    Attributes:
        source_sha256: tensor digest of the merged (or base) model it was built from.
        files: relative path -> sha256 of every file of the engine folder but engine.json.
        tool_versions: package -> version of what built it.
        multilingual: whether the decoder takes a language token.
        n_mels: mel bands, 80 or 128.
        trailing_silence: seconds of silence to append before decoding, as in training.
        wer_before: word error rate of the source model on the check clips, None until checked.
        wer_after: the engine's own on the same clips.
        calibration: of static int8; None where activations are not rounded by what was heard.
    """

    kind: str
    precision: str
    minimum_mel_frames: int
    language: str
    multilingual: bool
    n_mels: int
    source_sha256: str
    files: dict[str, str]
    tool_versions: dict[str, str]
    trailing_silence: float = 0.0
    wer_before: Estimate | None = None
    wer_after: Estimate | None = None
    calibration: Calibration | None = None

    def as_dict(self) -> dict[str, Any]:
        """As in engine.json, which has no `calibration` where there was none."""
        fields = asdict(self)
        return fields if self.calibration else {k: fields[k] for k in fields if k != "calibration"}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> EngineDescription:
        fields = dict(fields)
        for key in ("wer_before", "wer_after"):
            if fields.get(key) is not None:
                fields[key] = Estimate.from_dict(fields[key])
        if fields.get("calibration") is not None:
            fields["calibration"] = Calibration(**fields["calibration"])
        return cls(**fields)


DECODING_VERSION = 2
"""Raised when engines come to write other texts for equal audio: what they wrote is asked again.

2: a text that repeats itself is bounded by its clip and asked again.
"""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Rules against texts that nobody said (Radford et al. 2022, 4.5): how a greedy text is
    doubted, and sampled again (`serving.engines.fallback`).

    Attributes:
        temperatures: of the tries after the first, each in 0..1 and above 0, in their order.
        compression_ratio: above it a text repeats itself: bytes over those of its zlib form.
        mean_logprob: below it the model does not believe its text, natural logarithm.
        no_speech: probability of no speech above which a text that is not believed is none.
        seed: of the sampling: equal clips, given together, get equal texts.
    """

    temperatures: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio: float = MOST_COMPRESSION
    mean_logprob: float = LEAST_LOG_PROB
    no_speech: float = MOST_NO_SPEECH
    seed: int = 0

    def __post_init__(self) -> None:
        if not all(0.0 < temperature <= 1.0 for temperature in self.temperatures):
            raise ValueError(f"temperatures are {self.temperatures}; each must be in 0..1, above 0")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """How to decode. The defaults are the one decoding of every comparison: greedy, no fallback.

    Attributes:
        beam_size: 1 is greedy.
        max_new_tokens: bound on new text tokens per clip, whatever the engine calls it.
        word_times: align words; costs one more decoder pass.
        prompt: text that precedes the audio (names, terms); empty for none.
        language: ISO 639-1 code to decode a multilingual model with instead of the engine's own.
        fallback: rules that doubt a text and sample another one; None for none.
    """

    beam_size: int = 1
    max_new_tokens: int = 224
    word_times: bool = False
    prompt: str = ""
    language: str = ""
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its place in the audio (seconds from the start) and probability (0..1)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an engine says about one clip.

    Attributes:
        token_logprobs: natural log-probability of each text token.
        no_speech_probability: the model's own, 0..1.
        words: empty unless word times were asked for.
    """

    text: str
    language: str
    token_logprobs: tuple[float, ...]
    no_speech_probability: float
    words: tuple[Word, ...] = field(default=())


class Engine(Protocol):
    """A loaded engine. Safe to call from one thread at a time."""

    description: EngineDescription

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        """Transcribe a batch of clips of at most 30 s each, in order.

        Raises:
            ValueError: a clip is longer than 30 s, or holds NaN or infinite samples.
            UsageError: the model does not know the language that the options ask for.
        """
        ...

    def detect_language(self, clip: Samples) -> str:
        """ISO 639-1 code of the likeliest language of a clip of at most 30 s."""
        ...
