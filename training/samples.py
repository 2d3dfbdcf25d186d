"""Kinds of training samples: what keeps Whisper's abilities alive while it learns a domain.

A draw is a clip with its plain transcript, or one of the kinds below. Which kind it is depends on
the seed and the number of the draw alone: switching one kind on or off leaves the clips, and what
the others do to them, as they were. Nothing here reads audio or knows a tokenizer.

Source of the formats: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision", section 2.3 and figure 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from data.augmentation.samples import generator
from data.features import FRAMES_PER_SECOND, WINDOW_FRAMES
from voiceforge.params import NoSpeechSound, SampleParams

Kind = Literal["plain", "timestamps", "prompted", "no_speech", "prefix", "leading_silence"]

_LONGEST = WINDOW_FRAMES / FRAMES_PER_SECOND - 1.5
"""Seconds of two clips in a row at most: some silence still fits behind them."""
_FIRST_TIME = 1.0
"""Seconds of silence before time-stamped speech at most: Whisper's decoding begins no later."""
_GAPS = 0.3, 1.5
"""Seconds between two clips in a row."""
_CUTS = 0.15, 0.95
"""Where a prefix ends, as a share of its clip."""
_LEVELS = -75.0, -25.0
"""dB relative to full scale of noise and tones without speech."""
_CANDIDATES = 6
"""Clips of which the shortest becomes the second in a row: the batch is as wide as the pair."""
_HELPS, _DISTRACTS = 0.6, 0.2
"""Shares of the prompts that have words of the transcript, and that have only words of others; what
is left is whole transcripts of others."""
_UNSURE = 0.35, 0.65
"""A cut that leaves this share of a word is moved to its lower end: nobody, and no alignment, can
say whether such a word was heard."""


@dataclass(frozen=True, slots=True)
class Transcripts:
    """What decides whether two clips may stand in a row.

    Attributes:
        tokens: text tokens of each clip.
        languages: of each clip.
        room: tokens that a transcript may have.
    """

    tokens: Sequence[int]
    languages: Sequence[str]
    room: int

    def may_join(self, first: int, second: int) -> bool:
        """Whether they are of one language, and fit with four time tokens around them."""
        fits = self.tokens[first] + self.tokens[second] + 4 <= self.room
        return fits and self.languages[first] == self.languages[second]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a draw makes of its clip: this one is the clip with its plain transcript."""

    @property
    def kind(self) -> Kind:
        return "plain"

    def seconds(self, clip: int, durations: Sequence[float]) -> float:
        """Seconds of audio, of clips that have `durations`."""
        return durations[clip]


PLAIN = Sample()


@dataclass(frozen=True, slots=True)
class LeadingSilence(Sample):
    """`lead` seconds of silence, then the clip."""

    lead: float

    @property
    def kind(self) -> Kind:
        return "leading_silence"

    def seconds(self, clip: int, durations: Sequence[float]) -> float:
        return self.lead + durations[clip]


@dataclass(frozen=True, slots=True)
class Timestamps(Sample):
    """Time tokens around each clip: one after `lead` seconds, maybe a `second` after `gap` more."""

    lead: float
    second: int | None = None
    gap: float = 0.0

    @property
    def kind(self) -> Kind:
        return "timestamps"

    def seconds(self, clip: int, durations: Sequence[float]) -> float:
        first = self.lead + durations[clip]
        return first if self.second is None else first + self.gap + durations[self.second]


@dataclass(frozen=True, slots=True)
class Prompted(Sample):
    """A prompt before the transcript.

    Attributes:
        own: how many words of the clip's own transcript are in it; with 0 it helps nothing, and
            the model learns not to copy.
        others: clips of whose transcripts it has words.
        is_text: it is the whole transcript of the one other clip, as the text before a window is.
        key: of the order of the words.
    """

    own: int
    others: tuple[int, ...]
    is_text: bool
    key: tuple[int, int]

    @property
    def kind(self) -> Kind:
        return "prompted"


@dataclass(frozen=True, slots=True)
class NoSpeech(Sample):
    """As long as the clip, and nobody speaks."""

    sound: NoSpeechSound
    level: float
    key: tuple[int, int]

    @property
    def kind(self) -> Kind:
        return "no_speech"


@dataclass(frozen=True, slots=True)
class Prefix(Sample):
    """The clip up to `share` of its length, or a little less, with the words up to there."""

    share: float

    @property
    def kind(self) -> Kind:
        return "prefix"

    def seconds(self, clip: int, durations: Sequence[float]) -> float:
        return self.share * durations[clip]


def draw_sample(
    params: SampleParams,
    seed: int,
    number: int,
    clip: int,
    durations: Sequence[float],
    transcripts: Transcripts | None = None,
) -> Sample:
    """The kind of one draw.

    Args:
        params: the shares.
        seed: of the training.
        number: draws before it, in the order in which clips are drawn.
        clip: the clip that is drawn.
        durations: seconds of all clips.
        transcripts: of all clips; without them no two clips are put in a row.
    """
    rng = generator(seed, number, "sample")
    at = rng.random()
    kind = "plain"
    for name, share in params.shares.items():
        if at < share:
            kind = name
            break
        at -= share
    if kind == "timestamps":
        return _timestamps(clip, durations, transcripts, rng)
    if kind == "prompted":
        return _prompted((seed, number), clip, len(durations), transcripts, rng)
    if kind == "no_speech":
        sounds: tuple[NoSpeechSound, ...] = get_args(NoSpeechSound)
        sound = sounds[rng.integers(len(sounds))]
        return NoSpeech(sound, float(rng.uniform(*_LEVELS)), (seed, number))
    if kind == "prefix":
        return Prefix(float(rng.uniform(*_CUTS)))
    if kind == "leading_silence":
        lead = float(rng.uniform(*params.silence_before))
        return LeadingSilence(min(lead, max(0.0, _LONGEST - durations[clip])))
    return PLAIN


def _timestamps(
    clip: int,
    durations: Sequence[float],
    transcripts: Transcripts | None,
    rng: np.random.Generator,
) -> Timestamps:
    lead, gap = float(rng.uniform(0.0, _FIRST_TIME)), float(rng.uniform(*_GAPS))
    joins = rng.random() < 0.5
    lead = min(lead, max(0.0, _LONGEST - durations[clip]))
    second = min(
        map(int, rng.integers(len(durations), size=_CANDIDATES)), key=durations.__getitem__
    )
    left = _LONGEST - lead - durations[clip] - gap - durations[second]
    if joins and left >= 0 and transcripts and transcripts.may_join(clip, second):
        return Timestamps(lead, second, gap)
    return Timestamps(lead)


def _prompted(
    key: tuple[int, int],
    clip: int,
    clips: int,
    transcripts: Transcripts | None,
    rng: np.random.Generator,
) -> Prompted:
    way, own = rng.random(), int(rng.integers(1, 4))
    several = rng.integers(clips, size=rng.integers(2, 7)).tolist()
    others = tuple(
        one
        for one in several
        if one != clip
        and (transcripts is None or transcripts.languages[one] == transcripts.languages[clip])
    )
    if way < _HELPS or not others:
        return Prompted(own, others, is_text=False, key=key)
    if way < _HELPS + _DISTRACTS:
        return Prompted(0, others, is_text=False, key=key)
    return Prompted(0, others[:1], is_text=True, key=key)


def rare_words(texts: Sequence[str]) -> list[list[str]]:
    """For each text its words, those that fewest texts have first: names and terms, mostly.

    Words of fewer than four letters are left out, punctuation around words is too.
    """
    bare = [[word for word in map(_bare, text.split()) if len(word) >= 4] for text in texts]
    known = Counter(word.casefold() for words in bare for word in {*words})
    return [
        sorted(dict.fromkeys(words), key=lambda word: (known[word.casefold()], -len(word), word))
        for words in bare
    ]


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end]


def prompt_text(
    sample: Prompted, clip: int, texts: Sequence[str], rare: Sequence[list[str]]
) -> str:
    """The text of a prompt; "" where neither the clip nor the others have words for one."""
    if sample.is_text:
        return texts[sample.others[0]].strip()
    chosen = rare[clip][: sample.own]
    for other in sample.others:
        chosen += [word for word in rare[other][:1] if word not in rare[clip]]
    words = list(dict.fromkeys(chosen))
    order = generator(*sample.key, "prompt").permutation(len(words))
    return ", ".join(words[at] for at in order)


def cut_at(wanted: float, words: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """Where a prefix ends, and how many words it has.

    A word that is cut counts when most of it is heard. A cut near the middle of a word is moved
    back, to where it is clearly not heard.

    Args:
        wanted: seconds at which to cut.
        words: starts and ends of the words, in order.

    Returns:
        Seconds, at most `wanted`, and how many of the words are heard by then.
    """
    heard = 0
    for start, end in words:
        if end <= wanted:
            heard += 1
            continue
        share = (wanted - start) / (end - start) if end > start else 0.0
        if share >= _UNSURE[1]:
            heard += 1
        elif share > _UNSURE[0]:
            wanted = start + _UNSURE[0] * (end - start)
        break
    return wanted, heard
