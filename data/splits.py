"""Which utterances train, tune and test: no text and no separable speaker is on two sides.

Pure. What the split ledger holds stays where it is. What is new is decided by hashing, never by
position: a text goes by the sha256 of its key, a speaker by that of their name; where the two
disagree the utterance is "left-out", since either choice would let something leak. A recording that
was heard before under another text or speaker stays where it was heard, or is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from data.columns import Corpus, column
from data.ledger import Heard, Ledger, Standing, audio_id, held_out_first, speaker_id, text_id
from data.speaker_splits import speaker_splits as speaker_splits
from data.speaker_splits import speaker_standings
from data.split_hash import hash_split as hash_split
from data.split_hash import text_key as text_key
from data.split_summary import HEARD
from data.split_summary import SplitRow as SplitRow
from data.split_summary import shared_speakers as shared_speakers
from data.split_summary import split_rows as split_rows
from data.split_summary import split_summary as split_summary
from data.utterance import SPLITS, Split, Utterance
from voiceforge.errors import UsageError
from voiceforge.params import SplitParams


@dataclass(frozen=True, slots=True)
class Assignment:
    """The split of every utterance, in the corpus's order, and the ledger that now holds them."""

    splits: list[Split]
    ledger: Ledger


def assign(
    corpus: Corpus,
    params: SplitParams,
    declared: Mapping[str, Split],
    same: Callable[[str], str] = text_key,
    ledger: Ledger | None = None,
) -> Assignment:
    """Give every utterance its split and enter what is new into the ledger.

    Args:
        corpus: splits that are already there are ignored.
        params: shares, seed, and the fewest speakers a source needs to be split by speaker. They
            decide only about texts and speakers that the ledger does not hold.
        declared: speakers whose split is fixed beforehand, such as synthetic voices.
        same: texts for which it gives the same are one text. A new text that is alone with its
            value is where its `text_key` puts it; of several, the first in order decides.
        ledger: what earlier corpora settled; None for a corpus that is split for the first time.

    Raises:
        UsageError: the ledger has another seed, or a declared speaker in another split.
    """
    ledger = ledger or Ledger(params.seed)
    _check_seed(ledger, params)
    texts, speakers = column(corpus, "text"), column(corpus, "speaker")
    audio = [audio_id(sha256) for sha256 in column(corpus, "audio_sha256")]
    standings = speaker_standings(corpus, params, declared, ledger, audio)
    groups = {text: same(text) for text in dict.fromkeys(texts)}
    ids = {group: text_id(group) for group in dict.fromkeys(groups.values())}
    settled = {group: ledger.texts[key] for group, key in ids.items() if key in ledger.texts}
    by_text = _text_splits(texts, speakers, audio, groups, settled, standings, params, ledger)
    cells: list[Split] = []
    for text, speaker in zip(texts, speakers, strict=True):
        split, standing = by_text[groups[text]], standings[speaker]
        cells.append(split if standing in (split, "shared") else "left-out")
    heard = _audio_splits(audio, cells, ledger)
    splits: list[Split] = [
        cell if not key or heard.get(key) == cell else "left-out"
        for key, cell in zip(audio, cells, strict=True)
    ]
    extended = Ledger(
        ledger.seed,
        {**ledger.texts, **{ids[group]: split for group, split in by_text.items()}},
        {**ledger.speakers, **{speaker_id(name): where for name, where in standings.items()}},
        heard,
    )
    return Assignment(splits, extended)


def assign_splits(
    utterances: Sequence[Utterance],
    params: SplitParams,
    declared: Mapping[str, Split],
    same: Callable[[str], str] = text_key,
    ledger: Ledger | None = None,
) -> list[Utterance]:
    """The utterances with their splits, in the order given; as `assign`."""
    splits = assign(utterances, params, declared, same, ledger).splits
    return [replace(row, split=split) for row, split in zip(utterances, splits, strict=True)]


def check_splits(
    corpus: Corpus,
    params: SplitParams | None = None,
    declared: Mapping[str, Split] | None = None,
    same: Callable[[str], str] = text_key,
    ledger: Ledger | None = None,
) -> list[str]:
    """What is wrong with the splits of a corpus, a sentence each; empty when nothing is.

    Texts and recordings are always checked, and so are synthetic voices unless the ledger says that
    all splits share them. Whether people should have been kept apart depends on what the splits
    were made with, so that needs `params`, `declared` and `ledger`; `same` is as in `assign`.
    """
    splits = column(corpus, "split")
    for name, split in zip(column(corpus, "id"), splits, strict=True):
        if split not in SPLITS:
            return [f"The utterance {name} has no split. Run the split stage."]
    speakers, audio = column(corpus, "speaker"), column(corpus, "audio_sha256")
    separable = set(dict.fromkeys(zip(speakers, column(corpus, "is_synthetic"), strict=True)))
    apart = {name for name, is_synthetic in separable if is_synthetic}
    if params is not None:
        by_speaker = speaker_splits(corpus, params, declared or {}, ledger)
        apart |= {name for name, split in by_speaker.items() if split}
        if ledger is not None:
            apart -= {name for name, split in by_speaker.items() if not split}
    texts = [
        (same(text), split)
        for text, split in dict.fromkeys(zip(column(corpus, "text"), splits, strict=True))
    ]
    problems = [
        f"The text {key!r} is in {' and '.join(found)}." for key, found in _in_several(texts)
    ]
    problems += [
        f"The speaker {name} is heard in {' and '.join(found)}."
        for name, found in _in_several(zip(speakers, splits, strict=True))
        if name in apart
    ]
    problems += [
        f"The recording {sha256[:12]} is in {' and '.join(found)}."
        for sha256, found in _in_several(zip(audio, splits, strict=True))
        if sha256
    ]
    problems += [
        f"The {split} split is empty. Give more recordings, of other texts and speakers; those "
        f"that come follow splits.{split}. Where no model is in use yet, the splits can also be "
        "drawn anew: delete the split ledger and choose another splits.seed."
        for split in HEARD
        if split not in splits
    ]
    return problems


def _in_several(pairs: Iterable[tuple[str, Split]]) -> list[tuple[str, list[Split]]]:
    """What is in more than one of train, dev and test, and in which, sorted."""
    first: dict[str, Split] = {}
    several: dict[str, set[Split]] = defaultdict(set)
    for key, split in pairs:
        if split in HEARD and first.setdefault(key, split) != split:
            several[key] |= {split, first[key]}
    return [(key, sorted(found)) for key, found in sorted(several.items())]


def _check_seed(ledger: Ledger, params: SplitParams) -> None:
    if ledger.seed != params.seed:
        raise UsageError(
            f"splits.seed is {params.seed}, and the split ledger was begun with {ledger.seed}. "
            f"What the ledger holds does not move, so another seed would change nothing. Set "
            f"splits.seed to {ledger.seed} again. To draw the splits anew, also delete the ledger: "
            "models trained so far have then heard what comes to test them."
        )


def _text_splits(
    texts: Sequence[str],
    speakers: Sequence[str],
    audio: Sequence[str],
    groups: Mapping[str, str],
    settled: Mapping[str, Heard],
    standings: Mapping[str, Standing],
    params: SplitParams,
    ledger: Ledger,
) -> dict[str, Heard]:
    """The split of every text group: the settled one, or else that of its recordings under an
    older text, of its only speakers, or of its hash.
    """
    result = dict(settled)
    heard: dict[str, set[Heard]] = defaultdict(set)
    standing_of: dict[str, Standing] = {}
    for text, speaker, key in zip(texts, speakers, audio, strict=True):
        group = groups[text]
        if group not in result:
            standing = standings[speaker]
            if standing_of.setdefault(group, standing) != standing:
                standing_of[group] = "shared"
            if key in ledger.audio:
                heard[group].add(ledger.audio[key])
    least: dict[str, str] = {}
    for text, group in groups.items():
        if standing_of.get(group) == "shared":
            key = text_key(text)
            least[group] = min(least.get(group, key), key)
    for group, standing in standing_of.items():
        found = held_out_first(heard[group]) if group in heard else None
        if found is None:
            found = hash_split(least[group], params) if standing == "shared" else standing
        result[group] = found
    return result


def _audio_splits(audio: Sequence[str], cells: Sequence[Split], ledger: Ledger) -> dict[str, Heard]:
    """Where every recording may be heard; the same one under two texts is held out first."""
    result = dict(ledger.audio)
    for key, cell in zip(audio, cells, strict=True):
        if key and cell in HEARD and key not in ledger.audio:
            found = result.setdefault(key, cell)  # type: ignore[arg-type]
            if found != cell:
                result[key] = held_out_first((found, cell)) or found  # type: ignore[arg-type]
    return result
