"""Which speakers are kept in one split, and which all splits share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from data.columns import Corpus, column
from data.ledger import Heard, Ledger, Standing, audio_id, held_out_first, speaker_id
from data.split_hash import hash_position, split_at
from data.utterance import Split
from voiceforge.errors import UsageError
from voiceforge.params import SplitParams


def speaker_splits(
    corpus: Corpus,
    params: SplitParams,
    declared: Mapping[str, Split],
    ledger: Ledger | None = None,
) -> dict[str, Heard | None]:
    """The split of every speaker; None for a speaker whom all splits share.

    A source with at least `minimum_speakers` speakers (declared ones not counted), or one that was
    split by speaker before, is split by speaker. Others share their speakers among all splits, and
    only their texts are separate. A speaker whom the ledger holds stays as they are.
    """
    audio = [audio_id(sha256) for sha256 in column(corpus, "audio_sha256")]
    standings = speaker_standings(corpus, params, declared, ledger or Ledger(params.seed), audio)
    return {name: None if where == "shared" else where for name, where in standings.items()}


def speaker_standings(
    corpus: Corpus,
    params: SplitParams,
    declared: Mapping[str, Split],
    ledger: Ledger,
    audio: Sequence[str],
) -> dict[str, Standing]:
    """Where every speaker is heard; `audio` are the keys of the corpus's recordings.

    Raises:
        UsageError: the ledger has a declared speaker in another split.
    """
    _check_declared(declared, ledger)
    speakers = column(corpus, "speaker")
    result: dict[str, Standing] = {}
    speakers_of: dict[str, set[str]] = defaultdict(set)
    for source, name in dict.fromkeys(zip(column(corpus, "source"), speakers, strict=True)):
        if name in declared:
            result[name] = declared[name]  # type: ignore[assignment]
        else:
            speakers_of[source].add(name)
            result[name] = ledger.speakers.get(speaker_id(name), "shared")
    known = {name for name in result if speaker_id(name) in ledger.speakers}
    # A speaker under a new name stays where their recordings are.
    heard: dict[str, set[Heard]] = defaultdict(set)
    if ledger.audio and len(known) < len(result):
        for name, key in zip(speakers, audio, strict=True):
            if name not in known and key in ledger.audio:
                heard[name].add(ledger.audio[key])
    for names in speakers_of.values():
        settled = [result[name] for name in names & known if result[name] != "shared"]
        if len(names) >= params.minimum_speakers or settled:
            result.update(_separate(names - known, params, heard, settled))
    return result


def _check_declared(declared: Mapping[str, Split], ledger: Ledger) -> None:
    moved = [
        f"{name} in {split}, the ledger in {held}"
        for name, split in sorted(declared.items())
        if (held := ledger.speakers.get(speaker_id(name), split)) != split
    ]
    if moved:
        raise UsageError(
            f"params.yaml has the voice {'; '.join(moved[:5])}. A voice stays in the split in "
            "which it was first heard. Put it back, or name a voice that was never used there."
        )


def _separate(
    speakers: Iterable[str],
    params: SplitParams,
    heard: Mapping[str, set[Heard]],
    settled: Sequence[Standing],
) -> dict[str, Heard]:
    """Split a source's new speakers by hash; a split that chance left empty gets the nearest one.

    With few speakers a small share often gets none: of five, dev at 8% stays empty two times in
    three, and nothing could be tuned.

    Args:
        heard: where a speaker's recordings were heard under another name.
        settled: splits of the source's other speakers, who do not move.
    """
    positions = {name: hash_position(f"speaker:{name}", params) for name in sorted(speakers)}
    result: dict[str, Heard] = {
        name: held_out_first(heard.get(name, ())) or split_at(position, params)
        for name, position in positions.items()
    }
    bounds: list[tuple[Heard, float, float]] = [
        ("train", 0.0, params.train),
        ("dev", params.train, params.train + params.dev),
        ("test", params.train + params.dev, 1.0),
    ]
    shares = {"train": params.train, "dev": params.dev, "test": params.test}
    for split, low, high in bounds:
        held = [*result.values(), *settled]
        if not shares[split] or split in held:
            continue
        spare = [name for name in result if name not in heard and held.count(result[name]) > 1]
        if spare:
            distances = {name: max(low - positions[name], positions[name] - high) for name in spare}
            result[min(distances, key=distances.__getitem__)] = split
    return result
