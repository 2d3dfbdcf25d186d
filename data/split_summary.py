"""How much each split of a corpus holds, for people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from data.columns import Corpus, column
from data.utterance import SPLITS, Split

HEARD: tuple[Split, ...] = ("train", "dev", "test")


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


def split_rows(corpus: Corpus) -> list[SplitRow]:
    """How much each split holds of each accent, people and machines apart."""
    order: list[Split] = [*SPLITS, ""]
    cells: dict[tuple[Split, str, bool], list[int]] = defaultdict(list)
    kinds = zip(
        column(corpus, "split"), column(corpus, "accent"), column(corpus, "is_synthetic"),
        strict=True,
    )  # fmt: skip
    for at, kind in enumerate(kinds):
        cells[kind].append(at)
    seconds, speakers = column(corpus, "duration"), column(corpus, "speaker")
    words = [len(text.split()) for text in column(corpus, "text")]
    return [
        SplitRow(
            split=split,
            accent=accent,
            is_synthetic=is_synthetic,
            utterances=len(rows),
            seconds=round(sum(seconds[at] for at in rows), 3),
            words=sum(words[at] for at in rows),
            speakers=len({speakers[at] for at in rows}),
        )
        for (split, accent, is_synthetic), rows in sorted(
            cells.items(), key=lambda cell: (order.index(cell[0][0]), *cell[0][1:])
        )
    ]


def shared_speakers(corpus: Corpus) -> list[str]:
    """Speakers heard in more than one split, sorted: a report must say that it knows them."""
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for speaker, split in set(zip(column(corpus, "speaker"), column(corpus, "split"), strict=True)):
        if split in HEARD:
            splits_of[speaker].add(split)
    return sorted(name for name, splits in splits_of.items() if len(splits) > 1)


def split_summary(corpus: Corpus) -> dict[str, Any]:
    """Plain figures: `by_split` rows, how many are `left_out`, `shared_speakers`."""
    splits = column(corpus, "split")
    return {
        "utterances": len(splits),
        "left_out": splits.count("left-out"),
        "shared_speakers": shared_speakers(corpus),
        "by_split": [asdict(row) for row in split_rows(corpus)],
    }
