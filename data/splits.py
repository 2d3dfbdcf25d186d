"""Which utterances train, tune and test: no text and no separable speaker is on two sides.

Pure. A split is decided by hashing, never by position, so that a corpus that grows keeps every
text where it was. A text goes by the sha256 of its key, a speaker by that of their name; where the
two disagree the utterance is "left-out", since either choice would let something leak.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from data.utterance import SPLITS, Split, Utterance
from voiceforge.params import SplitParams

_HEARD: tuple[Split, ...] = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class SplitRow:
    """How much of one kind of speech a split holds; `seconds` of audio, `words` of references."""

    split: Split
    accent: str
    is_synthetic: bool
    utterances: int
    seconds: float
    words: int
    speakers: int


def text_key(text: str) -> str:
    """What makes two texts the same: letters and digits, case and compatibility forms folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LMN")
    return kept or folded.strip()


def hash_split(key: str, params: SplitParams) -> Split:
    """The split of a key: its seeded sha256 as a number in 0..1, laid over the shares."""
    return _split_at(_position(key, params), params)


def assign_splits(
    utterances: Sequence[Utterance],
    params: SplitParams,
    declared: Mapping[str, Split],
    same: Callable[[str], str] = text_key,
) -> list[Utterance]:
    """Give every utterance its split, in the order given.

    Args:
        utterances: the corpus; splits that are already there are ignored.
        params: shares, seed, and the fewest speakers a source needs to be split by speaker.
        declared: speakers whose split is fixed beforehand, such as synthetic voices.
        same: texts for which it gives the same are one text. A text that is alone with its value
            is where its `text_key` puts it; of several, the first in order decides.
    """
    by_speaker = speaker_splits(utterances, params, declared)
    splits_of_text: dict[str, set[Split | None]] = defaultdict(set)
    keys_of_text: dict[str, set[str]] = defaultdict(set)
    texts = [same(utterance.text) for utterance in utterances]
    for text, utterance in zip(texts, utterances, strict=True):
        splits_of_text[text].add(by_speaker[utterance.speaker])
        keys_of_text[text].add(text_key(utterance.text))
    by_text = {
        text: only
        if len(splits) == 1 and (only := next(iter(splits)))
        else hash_split(min(keys_of_text[text]), params)
        for text, splits in splits_of_text.items()
    }
    return [
        replace(utterance, split=_cell(by_text[text], by_speaker[utterance.speaker]))
        for text, utterance in zip(texts, utterances, strict=True)
    ]


def speaker_splits(
    utterances: Iterable[Utterance], params: SplitParams, declared: Mapping[str, Split]
) -> dict[str, Split | None]:
    """The split of every speaker; None for a speaker whom all splits share.

    A source with at least `minimum_speakers` speakers (declared ones not counted) is split by
    speaker. One with fewer shares its speakers among all splits, and only its texts are separate.
    """
    speakers_of: dict[str, set[str]] = defaultdict(set)
    result: dict[str, Split | None] = {}
    for utterance in utterances:
        if utterance.speaker in declared:
            result[utterance.speaker] = declared[utterance.speaker]
        else:
            speakers_of[utterance.source].add(utterance.speaker)
            result[utterance.speaker] = None
    for speakers in speakers_of.values():
        if len(speakers) >= params.minimum_speakers:
            result.update(_separate(speakers, params))
    return result


def check_splits(
    utterances: Sequence[Utterance],
    params: SplitParams | None = None,
    declared: Mapping[str, Split] | None = None,
    same: Callable[[str], str] = text_key,
) -> list[str]:
    """What is wrong with the splits of a corpus, a sentence each; empty when nothing is.

    Texts are always checked, and so are synthetic voices. Whether people should have been kept
    apart depends on what the splits were made with, so that needs `params` and `declared`; `same`
    is as in `assign_splits`.
    """
    splits_of_text: dict[str, set[Split]] = defaultdict(set)
    splits_of_speaker: dict[str, set[Split]] = defaultdict(set)
    for utterance in utterances:
        if utterance.split in _HEARD:
            splits_of_text[same(utterance.text)].add(utterance.split)
            splits_of_speaker[utterance.speaker].add(utterance.split)
        elif utterance.split not in SPLITS:
            return [f"The utterance {utterance.id} has no split. Run the split stage."]
    separable = {utterance.speaker for utterance in utterances if utterance.is_synthetic}
    if params is not None:
        by_speaker = speaker_splits(utterances, params, declared or {})
        separable |= {name for name, split in by_speaker.items() if split}
    problems = [
        f"The text {key!r} is in {' and '.join(sorted(splits))}."
        for key, splits in sorted(splits_of_text.items())
        if len(splits) > 1
    ]
    problems += [
        f"The speaker {name} is heard in {' and '.join(sorted(splits))}."
        for name, splits in sorted(splits_of_speaker.items())
        if len(splits) > 1 and name in separable
    ]
    present = {utterance.split for utterance in utterances}
    problems += [
        f"The {split} split is empty. Give more recordings (of other texts and speakers), a larger "
        f"share of splits.{split}, or another splits.seed."
        for split in _HEARD
        if split not in present
    ]
    return problems


def shared_speakers(utterances: Iterable[Utterance]) -> list[str]:
    """Speakers heard in more than one split, sorted: a report must say that it knows them."""
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for utterance in utterances:
        if utterance.split in _HEARD:
            splits_of[utterance.speaker].add(utterance.split)
    return sorted(name for name, splits in splits_of.items() if len(splits) > 1)


def split_rows(utterances: Iterable[Utterance]) -> list[SplitRow]:
    """How much each split holds of each accent, people and machines apart."""
    cells: dict[tuple[int, str, bool], list[Utterance]] = defaultdict(list)
    order: list[Split] = [*SPLITS, ""]
    for utterance in utterances:
        key = (order.index(utterance.split), utterance.accent, utterance.is_synthetic)
        cells[key].append(utterance)
    return [
        SplitRow(
            split=order[at],
            accent=accent,
            is_synthetic=is_synthetic,
            utterances=len(rows),
            seconds=round(sum(row.duration for row in rows), 3),
            words=sum(len(row.text.split()) for row in rows),
            speakers=len({row.speaker for row in rows}),
        )
        for (at, accent, is_synthetic), rows in sorted(cells.items())
    ]


def split_summary(utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Plain figures for people: `by_split` rows, how many are `left_out`, `shared_speakers`."""
    return {
        "utterances": len(utterances),
        "left_out": sum(utterance.split == "left-out" for utterance in utterances),
        "shared_speakers": shared_speakers(utterances),
        "by_split": [asdict(row) for row in split_rows(utterances)],
    }


def _cell(by_text: Split, by_speaker: Split | None) -> Split:
    return by_text if by_speaker in (None, by_text) else "left-out"


def _position(key: str, params: SplitParams) -> float:
    digest = hashlib.sha256(f"{params.seed}:{key}".encode()).digest()
    # 53 bits: what a float holds exactly, so that 1.0 is never reached.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _split_at(position: float, params: SplitParams) -> Split:
    if position < params.train:
        return "train"
    # A share of zero must stay empty although 1 - test is not exactly train + dev.
    if params.dev and (position < params.train + params.dev or not params.test):
        return "dev"
    return "test" if params.test else "train"


def _separate(speakers: Iterable[str], params: SplitParams) -> dict[str, Split]:
    """Split a source's speakers by hash; a split that chance left empty gets the nearest speaker.

    With few speakers a small share often gets none: of five, dev at 8% stays empty two times in
    three, and nothing could be tuned.
    """
    positions = {name: _position(f"speaker:{name}", params) for name in sorted(speakers)}
    result = {name: _split_at(position, params) for name, position in positions.items()}
    bounds: list[tuple[Split, float, float]] = [
        ("train", 0.0, params.train),
        ("dev", params.train, params.train + params.dev),
        ("test", params.train + params.dev, 1.0),
    ]
    shares = {"train": params.train, "dev": params.dev, "test": params.test}
    for split, low, high in bounds:
        if not shares[split] or split in result.values():
            continue
        held = list(result.values())
        spare = [name for name in result if held.count(result[name]) > 1]
        if spare:
            distances = {name: max(low - positions[name], positions[name] - high) for name in spare}
            result[min(distances, key=distances.__getitem__)] = split
    return result
