"""What Whisper can do beside plain transcripts, measured on any of its models, before and after.

Every model is given the same speech, and the same sounds without any, as it is served: the base
in 30 s windows, a fine-tuned one at clip length.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.no_speech import no_speech
from data.augmentation.samples import generator
from data.features import WINDOW_FRAMES
from data.sources.espeak_library import speak
from evaluation.metrics import per_utterance_errors
from evaluation.text import normalise
from training.ability_results import Item, Measured
from training.alignment import SpokenWord, Transcribed, align_words, speech_span
from training.context import prompt_tokens
from training.formatting import judged_words
from training.listening import Heard, Listener
from training.samples import cut_at
from voiceforge.errors import UsageError
from voiceforge.params import NoSpeechSound

ABILITIES = (
    "timestamps", "prompting", "silence", "window", "formatting", "half sentences", "languages",
)  # fmt: skip

TOLERANCE = 0.5
"""Seconds by which a segment may start or end off the speech."""
NAMES = (
    "Jon Smyth", "Kathryn Clarke", "Geoffrey Browne", "Aleksandr Petrov", "Siobhan Reilly",
    "Meghan Thomsen", "Stephan Mueller", "Lynne Haynes", "Rhys Llewelyn", "Catharina Nilsson",
    "Graeme Rae", "Zoe Kowalczyk", "Mikael Jonsson", "Karyn Whyte", "Bryan Leigh", "Philippa Grey",
)  # fmt: skip
"""Spelt as a listener would not guess."""
_CARRIERS = {
    "en": "Please hold while I connect you to {}.",
    "it": "Attenda, la metto in contatto con {}.",
    "es": "Por favor espere, le comunico con {}.",
    "fr": "Merci de patienter, je vous mets en relation avec {}.",
    "de": "Bitte warten Sie, ich verbinde Sie mit {}.",
}
_VOICES = {"en": "en-us"}
_PAUSE = 1.2
"""Seconds between two clips whose times are asked for."""
_SOUND_SECONDS = 1.5, 3.0, 6.0
_SOUND_LEVELS = -60.0, -35.0
_HALVES = (0.35, 0.6, 0.8)
_SEED = 20


@dataclass(frozen=True)
class AbilitySpeech:
    """What abilities are measured on; made once, and used for every model.

    Attributes:
        language: ISO 639-1 code.
        normaliser: name of the text normaliser of word errors.
        clips: held-out clips with their transcripts.
        words: of each clip, as the base model places them.
        others: clips of other languages, for multilingual models.
    """

    language: str
    normaliser: str
    clips: tuple[Transcribed, ...]
    words: tuple[tuple[SpokenWord, ...], ...]
    others: dict[str, tuple[Transcribed, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        base: Path,
        clips: Sequence[Transcribed],
        *,
        language: str,
        normaliser: str,
        others: dict[str, tuple[Transcribed, ...]] | None = None,
    ) -> AbilitySpeech:
        """Place the words of the clips with a base model.

        Raises:
            UsageError: no clips.
        """
        if not clips:
            raise UsageError(
                "There are no clips to measure abilities on. The domain needs utterances in its "
                "test or dev split that are spoken by people."
            )
        listener = Listener(base)
        prompt = prompt_tokens(listener.model, listener.tokenizer, language)
        words = tuple(map(tuple, align_words(listener.model, listener.tokenizer, prompt, clips)))
        return cls(language, normaliser, tuple(clips), words, others or {})


def measure_abilities(
    folder: Path,
    speech: AbilitySpeech,
    *,
    abilities: Sequence[str] = ABILITIES,
    full_window: bool = False,
) -> tuple[Measured, ...]:
    """Measure a model; abilities that it cannot have are left out.

    Left out are other languages for models of English alone, and prompting in a language for
    which there is no carrier sentence.

    Args:
        folder: a Hugging Face folder of a Whisper model, base or merged.
        speech: what to measure on.
        abilities: which.
        full_window: hear every clip in a 30 s window, though the model was trained on less.
    """
    listener = Listener(folder, full_window=full_window)
    ways = {
        "timestamps": _timestamps,
        "prompting": _prompting,
        "silence": _silence,
        "window": _window,
        "formatting": _formatting,
        "half sentences": _half_sentences,
        "languages": _languages,
    }
    found = (ways[ability](listener, speech) for ability in abilities)
    return tuple(one for one in found if one is not None)


def _timestamps(listener: Listener, speech: AbilitySpeech) -> Measured:
    """Two clips in a row: is the pause between them found, and the end of the second?

    Where the first starts is a figure alone: Whisper says 0.00 to any short silence before it.
    """
    pause = np.zeros(round(_PAUSE * SAMPLE_RATE), dtype=np.float32)
    spans = [speech_span(clip.samples) for clip in speech.clips]
    pairs = [(at, (at + 1) % len(spans)) for at in range(len(spans))]
    known = [(first, second, spans[first], spans[second]) for first, second in pairs]
    audio, truths = [], []
    for first, second, one, other in known:
        if one is None or other is None:
            continue
        before = speech.clips[first].samples
        audio.append(np.concatenate([before, pause, speech.clips[second].samples]))
        offset = len(before) / SAMPLE_RATE + _PAUSE
        truths.append((first, one[0], one[1], offset + other[0], offset + other[1]))
    items, starts, ends = [], [], []
    for (at, start, stop, again, end), heard in zip(
        truths, listener.hear(audio, speech.language, times=True), strict=True
    ):
        misses = 2
        if heard.segments:
            starts.append(abs(heard.segments[0][0] - start))
            ends.append(abs(heard.segments[-1][1] - end))
            finds_pause = any(
                abs(low - again) <= TOLERANCE or abs(high - stop) <= TOLERANCE
                for low, high in heard.segments
            )
            misses = (not finds_pause) + (ends[-1] > TOLERANCE)
        items.append(Item(f"{at}", f"{at}", misses, 2))
    figures = {"clips without times": float(len(truths) - len(starts))}
    if starts:
        figures["median error of the first start, s"] = statistics.median(starts)
        figures["median error of the last end, s"] = statistics.median(ends)
    fails = f"pauses and ends of speech missed by over {TOLERANCE:g} s"
    return Measured("timestamps", fails, tuple(items), figures)


def _prompting(listener: Listener, speech: AbilitySpeech) -> Measured | None:
    carrier = _CARRIERS.get(speech.language)
    if carrier is None:
        return None
    voice = _VOICES.get(speech.language, speech.language)
    audio = [speak(carrier.format(name), voice) for name in NAMES]
    plain = listener.hear(audio, speech.language)
    items, right = [], 0
    for at, name in enumerate(NAMES):
        other = NAMES[(at + 5) % len(NAMES)]
        (heard,) = listener.hear([audio[at]], speech.language, before=f"{other}, {name}")
        words = name.split()
        missed = sum(word not in heard.text for word in words)
        right += sum(word in plain[at].text for word in words)
        items.append(Item(name, name, missed, len(words)))
    figures = {"right without the prompt": right / (2 * len(NAMES))}
    return Measured("prompting", "prompted names misspelt", tuple(items), figures)


def _silence(listener: Listener, speech: AbilitySpeech) -> Measured:
    sounds: list[tuple[str, Samples]] = []
    for sound in get_args(NoSpeechSound):
        for number, seconds in enumerate(_SOUND_SECONDS):
            for level in _SOUND_LEVELS if sound in ("white", "pink", "tones") else (0.0,):
                clip = speech.clips[number % len(speech.clips)].samples
                rng = generator(_SEED, sound, seconds, level)
                made = no_speech(sound, round(seconds * SAMPLE_RATE), level, clip, rng)
                sounds.append((f"{sound} {seconds:g} s {level:g} dB", made))
    heard = listener.hear([made for _, made in sounds], speech.language)
    items = [
        Item(name, name, int(not one.is_nothing), 1)
        for (name, _), one in zip(sounds, heard, strict=True)
    ]
    spoken = listener.hear([clip.samples for clip in speech.clips], speech.language)
    figures = {
        "mean no-speech probability": statistics.mean(one.no_speech for one in heard),
        "the same on speech": statistics.mean(one.no_speech for one in spoken),
        "speech taken for nothing": float(sum(one.is_nothing for one in spoken)),
    }
    return Measured("silence", "sounds without speech that are given words", tuple(items), figures)


def _window(listener: Listener, speech: AbilitySpeech) -> Measured:
    items = _word_errors(listener, speech.clips, speech.language, speech.normaliser)
    return Measured("window", "word errors in 30 s windows", items)


def _languages(listener: Listener, speech: AbilitySpeech) -> Measured | None:
    if not listener.is_multilingual or not speech.others:
        return None
    items: tuple[Item, ...] = ()
    for language, clips in sorted(speech.others.items()):
        items += _word_errors(listener, clips, language, "whisper-basic")
    return Measured("languages", f"word errors in {', '.join(sorted(speech.others))}", items)


def _word_errors(
    listener: Listener, clips: Sequence[Transcribed], language: str, normaliser: str
) -> tuple[Item, ...]:
    samples = [clip.samples for clip in clips]
    heard = listener.hear(samples, language, least_frames=WINDOW_FRAMES)
    table = per_utterance_errors(
        [normalise(clip.text, normaliser, language) for clip in clips],
        [normalise(one.text, normaliser, language) for one in heard],
    )
    return tuple(
        Item(f"{language} {at}", f"{language} {at}", int(errors), int(words))
        for at, (errors, words) in enumerate(table)
    )


def _formatting(listener: Listener, speech: AbilitySpeech) -> Measured:
    heard = listener.hear([clip.samples for clip in speech.clips], speech.language)
    items: list[Item] = []
    marks = {"casing": [0, 0], "punctuation": [0, 0]}
    for at, (clip, one) in enumerate(zip(speech.clips, heard, strict=True)):
        for word in judged_words(clip.text, one.text):
            items.append(Item(f"{at}:{word.place}", f"{at}", int(not word.is_kept), 1))
            for name, kept in (("casing", word.keeps_case), ("punctuation", word.keeps_marks)):
                marks[name][0] += kept
                marks[name][1] += 1
    figures = {f"{name} kept": kept / max(1, words) for name, (kept, words) in marks.items()}
    fails = "recognised words with other punctuation or casing"
    return Measured("formatting", fails, tuple(items), figures)


def _half_sentences(listener: Listener, speech: AbilitySpeech) -> Measured:
    audio: list[Samples] = []
    known: list[tuple[int, int, str]] = []
    for at, (clip, words) in enumerate(zip(speech.clips, speech.words, strict=True)):
        times = [(word.start, word.end) for word in words]
        if len(times) < 4:
            continue
        wanted = times[0][0] + _HALVES[at % len(_HALVES)] * (times[-1][1] - times[0][0])
        cut, heard = cut_at(wanted, times)
        audio.append(clip.samples[: round(cut * SAMPLE_RATE)])
        begun = sum(start < cut for start, _ in times)
        known.append((at, begun, " ".join(word.text for word in words[:heard])))
    said: list[Heard] = listener.hear(audio, speech.language)
    items, invented_clips = [], 0
    texts, spoken = [], []
    for (at, begun, reference), one in zip(known, said, strict=True):
        invented = max(0, len(one.text.split()) - begun)
        invented_clips += invented > 0
        items.append(Item(f"{at}", f"{at}", invented, begun))
        texts.append(normalise(reference, speech.normaliser, speech.language))
        spoken.append(normalise(one.text, speech.normaliser, speech.language))
    table = per_utterance_errors(texts, spoken)
    figures = {
        "clips with invented words": invented_clips / max(1, len(items)),
        "word error rate up to the cut": table[:, 0].sum() / max(1, table[:, 1].sum()),
    }
    fails = "words beyond those begun before the cut, of these"
    return Measured("half sentences", fails, tuple(items), figures)
