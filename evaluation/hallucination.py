"""What a model invents: words where nobody speaks, loops, and more words than can be said.

All are counts of normalised texts and seconds of audio.

- Words per minute invented: words of the hypotheses over minutes of audio without speech, and the
  share of clips with any word (Koenecke et al. 2024, "Careless Whisper", and Barański et al. 2025,
  "Investigation of Whisper ASR hallucinations induced by non-speech audio").
- Repetition loop: a run of one to `LONGEST_PERIOD` words that is said at least `LOOP_EXTRA` times
  more in a row than in the reference, where most runs are said once: four times "thank you" is a
  loop, "no no no no" is none where somebody said three of them.
- Compression ratio: bytes of a text over bytes of its zlib compression; Whisper's own sign of a
  loop is a ratio above 2.4 (Radford et al. 2022, section 4.5, and transcribe.py). It sees loops of
  long texts only: below about 100 characters no text reaches it.
- Words beyond speaking rate: those that no longer fit into the audio at a rate that nobody passes,
  in letters and digits a second (`validation.maximum_characters_per_second` holds such a rate).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.significance import Interval, bootstrap_rate
from evaluation.whisper_bounds import MOST_COMPRESSION, compression_ratio

LOOP_EXTRA = 3
LONGEST_PERIOD = 12


@dataclass(frozen=True, slots=True)
class Loop:
    """A run of words that is said again and again.

    Attributes:
        start: place of its first word.
        period: words of the run.
        repeats: how often it is said in a row, at least 2.
    """

    start: int
    period: int
    repeats: int

    @property
    def words(self) -> int:
        """Words that the loop holds, the first time included."""
        return self.period * self.repeats


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model said about a clip.

    Attributes:
        utterance_id: of the clip.
        reference: normalised; "" where nobody speaks.
        hypothesis: normalised.
        seconds: of audio.
    """

    utterance_id: str
    reference: str
    hypothesis: str
    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0.0):
            raise ValueError(
                f"Utterance {self.utterance_id!r} lasts {self.seconds} s; it must be above 0."
            )


@dataclass(frozen=True, slots=True)
class Hallucinations:
    """What was invented on some clips.

    Attributes:
        clips: how many, of different audio.
        minutes: of audio.
        speechless_minutes: of it, without a word in the reference.
        invented_words: words said on that part.
        words_per_minute: of it, with an interval that draws clips; None without such audio. Where
            all draws agree, as they do when nothing was invented or the same word on every clip,
            the interval is Garwood's for as many events in that time (1936).
        clips_with_words: share of the clips without speech on which anything was said, with Clopper
            and Pearson's interval (1934); None likewise.
        loops: ids of the clips with a repetition loop.
        looped_words: words that those loops hold.
        compressible: ids of the clips whose hypothesis is above Whisper's compression ratio.
        words_beyond_rate: words that nobody could have said in the time.
        beyond_rate: ids of the clips that have such.
    """

    clips: int
    minutes: float
    speechless_minutes: float
    invented_words: int
    words_per_minute: Interval | None
    clips_with_words: Interval | None
    loops: tuple[str, ...]
    looped_words: int
    compressible: tuple[str, ...]
    words_beyond_rate: int
    beyond_rate: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_hallucinations(
    clips: Sequence[Heard],
    *,
    characters_per_second: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> Hallucinations:
    """Count what was invented.

    Args:
        clips: each of other audio, with or without speech; at least one.
        characters_per_second: letters and digits that nobody passes.
        confidence: coverage of the intervals.
        resamples: draws of clips.
        seed: of the draws.

    Raises:
        ValueError: no clips, an id that is there twice, or a rate that is not above 0.
    """
    ids = [clip.utterance_id for clip in clips]
    if not clips or len(set(ids)) != len(ids):
        raise ValueError("There are no clips, or an utterance is there twice.")
    speechless = [clip for clip in clips if not clip.reference.split()]
    said = [len(clip.hypothesis.split()) for clip in speechless]
    seconds = sum(clip.seconds for clip in speechless)
    per_minute = share = None
    if speechless:
        drawn = {"confidence": confidence, "resamples": resamples, "seed": seed}
        per_minute = _per_minute(said, [clip.seconds for clip in speechless], **drawn)  # type: ignore[arg-type]
        share = _share(sum(map(bool, said)), len(said), confidence)
    loops = {clip.utterance_id: find_loop(clip.hypothesis, clip.reference) for clip in clips}
    beyond = {
        clip.utterance_id: words_beyond(clip.hypothesis, clip.seconds, characters_per_second)
        for clip in clips
    }
    return Hallucinations(
        clips=len(clips),
        minutes=sum(clip.seconds for clip in clips) / 60.0,
        speechless_minutes=seconds / 60.0,
        invented_words=sum(said),
        words_per_minute=per_minute,
        clips_with_words=share,
        loops=tuple(name for name, loop in loops.items() if loop),
        looped_words=sum(loop.words for loop in loops.values() if loop),
        compressible=tuple(
            clip.utterance_id
            for clip in clips
            if compression_ratio(clip.hypothesis) > MOST_COMPRESSION
        ),
        words_beyond_rate=sum(beyond.values()),
        beyond_rate=tuple(name for name, words in beyond.items() if words),
    )


def find_loop(hypothesis: str, reference: str = "") -> Loop | None:
    """The repetition loop of a text that holds most words; None where there is none.

    Args:
        hypothesis: normalised.
        reference: normalised; what it repeats about as often is no loop.
    """
    words, spoken = hypothesis.split(), reference.split()
    allowed: dict[tuple[str, ...], int] = {}
    for loop in repetitions(spoken):
        run = _rotation(spoken[loop.start : loop.start + loop.period])
        allowed[run] = max(allowed.get(run, 1), loop.repeats)
    loops = [
        loop
        for loop in repetitions(words)
        if loop.repeats
        >= LOOP_EXTRA + allowed.get(_rotation(words[loop.start : loop.start + loop.period]), 1)
    ]
    return max(loops, key=lambda loop: (loop.words, -loop.period), default=None)


def repetitions(words: Sequence[str]) -> list[Loop]:
    """Every run of up to `LONGEST_PERIOD` words that is said at least twice in a row.

    A run that is itself a repetition ("no no" in "no no no no") is not another one.
    """
    found = []
    for period in range(1, min(LONGEST_PERIOD, len(words) // 2) + 1):
        start = 0
        while start + 2 * period <= len(words):
            end = start
            while end + period < len(words) and words[end] == words[end + period]:
                end += 1
            repeats = (end - start) // period + 1
            if repeats >= 2 and _is_primitive(words[start : start + period]):
                found.append(Loop(start, period, repeats))
            start = end + 1
    return found


def words_beyond(text: str, seconds: float, characters_per_second: float) -> int:
    """Words at the end of a text that no longer fit into the time.

    Args:
        text: normalised.
        seconds: of audio.
        characters_per_second: letters and digits that nobody passes, above 0.

    Raises:
        ValueError: a rate that is not above 0.
    """
    if not characters_per_second > 0.0:
        raise ValueError(f"characters_per_second is {characters_per_second}; it must be above 0.")
    most, used = seconds * characters_per_second, 0
    words = text.split()
    for place, word in enumerate(words):
        used += sum(character.isalnum() for character in word)
        if used > most:
            return len(words) - place
    return 0


def _per_minute(
    said: Sequence[int],
    seconds: Sequence[float],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    milliseconds = [round(1000.0 * one) for one in seconds]
    rate = bootstrap_rate(
        said, milliseconds, range(len(said)), confidence=confidence, resamples=resamples, seed=seed
    )
    value, low, high = (60_000.0 * end for end in (rate.value, rate.low, rate.high))
    if any(said) and low < high:
        return Interval(value, low, high, confidence, rate.clusters, rate.resamples)
    low, high = _garwood(sum(said), sum(seconds) / 60.0, confidence)
    return Interval(value, low, high, confidence, len(said), 0)


def _garwood(events: int, minutes: float, confidence: float) -> tuple[float, float]:
    """Exact ends for the rate of a Poisson process with so many events in that time."""
    from scipy.stats import chi2

    tail = (1.0 - confidence) / 2.0
    low = float(chi2.ppf(tail, 2 * events)) / 2.0 if events else 0.0
    return low / minutes, float(chi2.ppf(1.0 - tail, 2 * events + 2)) / 2.0 / minutes


def _share(with_words: int, clips: int, confidence: float) -> Interval:
    from scipy.stats import binomtest

    ends = binomtest(with_words, clips).proportion_ci(confidence, method="exact")
    low, high = float(ends.low), float(ends.high)
    return Interval(with_words / clips, low, high, confidence, clips, 0)


def _is_primitive(run: Sequence[str]) -> bool:
    """Whether a run is no shorter run said several times."""
    doubled = [*run, *run]
    return not any(doubled[k : k + len(run)] == list(run) for k in range(1, len(run)))


def _rotation(run: Sequence[str]) -> tuple[str, ...]:
    """The same for a run wherever in it a loop begins: "a b a b a" is "a b" and "b a" alike."""
    return min((*run[k:], *run[:k]) for k in range(len(run)))
