"""A corpus folder built anew without its forgotten speakers: what a build would give, undecoded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.corpus import summarise
from data.forgotten import Forgotten, read_forgotten, reject
from data.tables import (
    MEASUREMENTS,
    QUARANTINE,
    UTTERANCES,
    load_corpus,
    read_measurements,
    read_rejects,
    write_measurements,
    write_rejects,
    write_utterances,
)
from data.utterance import Utterance
from voiceforge.errors import UsageError
from voiceforge.files import link_file, read_json, write_json

SUMMARY = "summary.json"


def forgotten_rows(rows: Iterable[Utterance], forgotten: Forgotten) -> list[Utterance]:
    """The utterances of forgotten speakers, under their own name or, same audio, another."""
    known: dict[str, bool] = {}
    found = []
    for row in rows:
        if row.speaker not in known:
            known[row.speaker] = forgotten.holds_speaker(row.speaker)
        if known[row.speaker] or forgotten.holds_audio(row.audio_sha256):
            found.append(row)
    return found


def rebuild_without(
    corpus: Path, out: Path, forgotten: Forgotten, planned: Sequence[tuple[str, str]]
) -> Mapping[str, Any]:
    """Write into the empty folder `out` what `corpus` holds of everybody else.

    Audio is linked, tables are written anew; the rows are those that `data.corpus.build_corpus`
    would write from the same sources.

    Args:
        planned: (id, source) of every row of forgotten speakers that sources hold, so that those
            in quarantine for another reason lose their old row.

    Returns:
        The summary of the new corpus; it has no utterances when nobody else spoke.

    Raises:
        StorageError: the disk is full or read-only.
        IntegrityError: the corpus's tables are of another version of VoiceForge.
    """
    rows = load_corpus(corpus)
    gone = {row.id: row.source for row in forgotten_rows(rows, forgotten)}
    kept = [row for row in rows if row.id not in gone]
    ids = {name for name, _ in planned}
    theirs = [*planned, *((name, source) for name, source in gone.items() if name not in ids)]
    new = [reject(name, source) for name, source in theirs]
    # Under its own id, and hidden by an earlier attempt.
    old = {*ids, *gone, *(row.id for row in new)}
    rejects = [row for row in read_rejects(corpus / QUARANTINE) if row.id not in old] + new
    for row in kept:
        link_file(corpus / row.audio, out / row.audio)
    write_utterances(out / UTTERANCES, kept)
    write_rejects(out / QUARANTINE, rejects)
    if (corpus / MEASUREMENTS).is_file():
        _measured(corpus, out, gone)
    skipped = read_json(corpus / SUMMARY)["skipped"]
    summary = summarise(kept, rejects, skipped).as_dict()
    write_json(out / SUMMARY, summary)
    return summary


def _measured(corpus: Path, out: Path, gone: Collection[str]) -> None:
    rows = read_measurements(corpus / MEASUREMENTS)
    write_measurements(out / MEASUREMENTS, [row for row in rows if row.id not in gone])


def refuse_forgotten(ledgers: Path, name: str, md5: str) -> None:
    """Refuse to restore a version that was taken apart.

    Raises:
        UsageError: a speaker of it was forgotten.
    """
    if stone := read_forgotten(ledgers).version(md5):
        raise UsageError(
            f"Version {md5} of {name} cannot be restored: it held recordings of a speaker who was "
            f"forgotten on {stone.at[:10]}, and its tables were deleted with them. "
            f"`voiceforge corpus show {name}` lists its versions."
        )


def refuse_speakers(ledgers: Path, folder: Path) -> None:
    """Refuse a restored corpus in which a forgotten speaker is heard.

    Raises:
        UsageError: there is one.
    """
    forgotten = read_forgotten(ledgers)
    if forgotten.tombstones and (rows := forgotten_rows(load_corpus(folder), forgotten)):
        raise UsageError(
            f"That version holds {len(rows)} recordings of speakers who were forgotten since, so "
            "it was not restored. `voiceforge corpus forget` with their ids deletes it here, too."
        )
