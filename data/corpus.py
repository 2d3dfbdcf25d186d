"""Build a corpus: every source's recordings as 16 kHz mono FLAC with one table of utterances.

A corpus folder holds `audio/ab/SHA256.flac` (equal audio once), `utterances.parquet` and
`measurements.parquet` (a row each for every recording that could be decoded, sorted by id),
`quarantine.parquet` (what could not be, with its reason) and `summary.json`. Equal sources give
equal bytes.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from data.audio_cache import FOLDER, WHERE, AudioCache, Kept, Result, Unusable
from data.forgotten import NOBODY, Forgotten, reject
from data.measurement import MEASURING_VERSION
from data.rendering import LONGEST, render_all
from data.sources import open_sources
from data.sources.base import FileAudio, Reach, Recording, Reject
from data.sources.extracted import drop
from data.splits import split_rows
from data.tables import MEASUREMENTS as MEASUREMENTS
from data.tables import QUARANTINE as QUARANTINE
from data.tables import UTTERANCES as UTTERANCES
from data.tables import load_corpus as load_corpus
from data.tables import read_rejects as read_rejects
from data.tables import read_utterances as read_utterances
from data.tables import write_measurements, write_rejects
from data.tables import write_utterances as write_utterances
from data.utterance import Utterance
from voiceforge.errors import StageError, StorageError
from voiceforge.files import sha256_json, storage_errors, write_json
from voiceforge.params import DomainParams

CORPUS_VERSION = 4
"""Raise it when equal sources come to give another corpus: every corpus is built anew."""

_DECODING = ("av", "numpy", "soundfile", "soxr")
_MEASURING = ("onnxruntime", "silero-vad")
_SPEAKING = {"espeak": ("espeakng-loader",), "piper": ("piper-tts",)}
"""Packages whose versions decide what a corpus holds."""


@dataclass(frozen=True)
class CorpusSummary:
    """Plain figures about a corpus.

    Attributes:
        utterances, speakers: how many.
        seconds: of audio.
        words: of the references, split at spaces.
        quarantined: recordings that could not be used.
        quarantine_reasons: reason code -> how many.
        skipped: what sources hold that was never meant to be an utterance -> how many.
        sources, licences: name -> utterances.
        by_accent: accent, is_synthetic, utterances, seconds, words, speakers.
    """

    utterances: int
    seconds: float
    words: int
    speakers: int
    quarantined: int
    quarantine_reasons: Mapping[str, int]
    skipped: Mapping[str, int]
    sources: Mapping[str, int]
    licences: Mapping[str, int]
    by_accent: Sequence[Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def source_fingerprint(domain: DomainParams, *, project: Path) -> str:
    """Hash of everything a rebuild would depend on; opens no audio and no connection.

    Raises:
        UsageError: a folder of recordings or its table is not there or cannot be meant.
    """
    sources = [source.fingerprint() for source in open_sources(domain, project)]
    # With other versions a corpus is made anew whole, not half; sources name their synthesizers'.
    return sha256_json([CORPUS_VERSION, domain.name, sources, _versions()])


class NothingUsableError(StageError):
    """No recording of a corpus could be used. `why` goes on after "no recording can be used"."""

    def __init__(self, domain: str, rejects: Sequence[Reject]) -> None:
        examples = "; ".join(f"{r.where}: {r.reason} ({r.detail})" for r in rejects[:3])
        first = f"The first: {examples}" if examples else "There is no row beside the header"
        self.why = f"({len(rejects)} were rejected). {first}. Mend that and run again."
        super().__init__(f"The sources of {domain} hold no recording that can be used {self.why}")


def build_corpus(
    domain: DomainParams,
    out: Path,
    *,
    project: Path,
    cache: Path,
    offline: bool,
    timeout: float,
    workers: int,
    forgotten: Forgotten = NOBODY,
    audio_cache: Path | None = None,
    longest: float = LONGEST,
    progress: Callable[[int, int], None] | None = None,
) -> CorpusSummary:
    """Write the corpus of a domain into the empty folder `out`.

    What was decoded before, by this build or another, is found in the audio cache; a build that is
    killed goes on there.

    Args:
        domain: what to build.
        out: given and empty; the caller gives it its final name when this returns.
        project: where relative paths of params.yaml start.
        cache, offline, timeout: as in `data.fetch.fetch`.
        workers: processes that decode.
        forgotten: speakers whose recordings are rejected.
        audio_cache: folder of the `AudioCache`, by default the one in `cache`.
        longest: seconds that an utterance may have. What trains hears no more than 30 at once.
        progress: called with recordings done and recordings in all.

    Raises:
        UsageError: a source that cannot be meant.
        SourceError, IntegrityError: speech that cannot be had.
        StorageError: the disk is full or read-only, or gives other bytes than were written.
        NothingUsableError: no recording could be used.
    """
    reach = Reach(cache, offline, timeout, forgotten.holds_speaker)
    recordings, rejects, skipped = _plan(domain, project, reach, forgotten)
    with AudioCache(audio_cache or cache / FOLDER) as kept, storage_errors(out):
        tell = progress or (lambda done, total: None)
        results = _results(recordings, kept, out, workers, longest, tell)
        gone = _leave_out(results, kept, out, forgotten)
    pairs = list(zip(recordings, results, strict=True))
    theirs = [one for one, result in pairs if isinstance(result, Kept) and result.sha256 in gone]
    drop(cache, (one.audio.path for one in theirs if isinstance(one.audio, FileAudio)))
    rows, measurements = [], []
    for recording, result in pairs:
        if isinstance(result, Unusable):
            detail = result.detail.replace(WHERE, recording.where)
            known = recording.id, recording.source, recording.where
            rejects.append(Reject(*known, result.reason, detail))
        elif result.sha256 in gone:
            rejects.append(reject(recording.id, recording.source))
        else:
            rows.append(_utterance(recording, domain.name, result))
            measurements.append(replace(result.measurement, id=recording.id))
    if not rows:
        raise NothingUsableError(domain.name, rejects)
    write_utterances(out / UTTERANCES, rows)
    write_measurements(out / MEASUREMENTS, measurements)
    write_rejects(out / QUARANTINE, rejects)
    summary = summarise(rows, rejects, skipped)
    write_json(out / "summary.json", summary.as_dict())
    return summary


def _results(
    recordings: Sequence[Recording],
    kept: AudioCache,
    out: Path,
    workers: int,
    longest: float,
    progress: Callable[[int, int], None],
) -> list[Result]:
    """What became of every recording, their FLACs linked into the corpus."""
    places: dict[str, list[int]] = defaultdict(list)
    for number, recording in enumerate(recordings):
        key = recording_key(recording)
        places[key if longest == LONGEST else f"{key}-{longest:g}"].append(number)
    known = kept.find(places)
    found = {key: result for key, result in known.items() if _enter(result, kept, out)}
    done = sum(len(places[key]) for key in found)
    progress(done, len(recordings))
    missing = [key for key in places if key not in found]
    chosen = [recordings[places[key][0]] for key in missing]
    for some in render_all(chosen, kept.folder, workers, longest):
        fresh = {missing[number]: result for number, result in some.items()}
        kept.keep(fresh)
        for key, result in fresh.items():
            if not _enter(result, kept, out):
                raise StorageError(
                    f"{kept.folder} does not give back what was written there: the audio of "
                    f"{recordings[places[key][0]].where} came out different. Check that disk; "
                    "then run again."
                )
            done += len(places[key])
        found |= fresh
        progress(done, len(recordings))
    by_number = {number: found[key] for key, numbers in places.items() for number in numbers}
    return [by_number[number] for number in range(len(recordings))]


def _enter(result: Result, kept: AudioCache, out: Path) -> bool:
    """Link a result's FLAC into the corpus; False where the cache holds it no more, or damaged."""
    return isinstance(result, Unusable) or kept.link(result.sha256, out / _audio(result.sha256))


def _leave_out(
    results: Sequence[Result], kept: AudioCache, out: Path, forgotten: Forgotten
) -> set[str]:
    """Delete the audio of forgotten speakers that came under another name; what it was."""
    heard = {result.sha256 for result in results if isinstance(result, Kept)}
    gone = {sha256 for sha256 in heard if forgotten.holds_audio(sha256)}
    for sha256 in gone:
        (out / _audio(sha256)).unlink(missing_ok=True)
    if gone:
        kept.drop(gone)
    return gone


def _plan(
    domain: DomainParams, project: Path, reach: Reach, forgotten: Forgotten
) -> tuple[list[Recording], list[Reject], Counter[str]]:
    """Recordings sorted by id, each id once; the first source that names an id keeps it."""
    planned: dict[str, Recording] = {}
    rejects: list[Reject] = []
    skipped: Counter[str] = Counter()
    for source in open_sources(domain, project):
        plan = source.plan(reach)
        drop(reach.cache, plan.files_of(forgotten.holds_speaker))
        rejects += forgotten.hide(plan.refused)
        skipped.update(plan.skipped)
        recordings, gone = forgotten.divide(plan.recordings)
        rejects += gone
        for recording in recordings:
            if kept := planned.get(recording.id):
                detail = f"{kept.where} of {kept.source} has this id already."
                rejects.append(
                    Reject(recording.id, recording.source, recording.where, "duplicate-id", detail)
                )
            else:
                planned[recording.id] = recording
    return [planned[name] for name in sorted(planned)], rejects, skipped


def recording_key(recording: Recording) -> str:
    """Hash of all that decides what is heard, the versions of what decodes and speaks included."""
    audio = recording.audio
    if isinstance(audio, FileAudio):
        speakers: tuple[str, ...] = ()
        made: list[Any] = [str(audio.path), *_state(audio.path), audio.start, audio.seconds]
    else:
        speakers = _SPEAKING[audio.synthesizer]
        spoken = audio.spoken or recording.text
        made = [audio.synthesizer, audio.voice, *_state(Path(audio.voice)), spoken]
    return sha256_json([CORPUS_VERSION, made, _versions(*speakers)])


def _versions(*more: str) -> dict[str, str | int]:
    """What decides how a recording is decoded, kept and measured, and versions of `more`."""
    versions = {name: _version(name) for name in (*_DECODING, *_MEASURING, *more)}
    return {**versions, "measuring": MEASURING_VERSION}


def _state(path: Path) -> tuple[int, int] | tuple[()]:
    """Size and time of change of a file; nothing where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # an extra that is not installed; rendering will say so
        return ""


def _audio(sha256: str) -> str:
    return f"audio/{sha256[:2]}/{sha256}.flac"


def _utterance(recording: Recording, domain: str, finished: Kept) -> Utterance:
    return Utterance(
        id=recording.id,
        audio=_audio(finished.sha256),
        duration=finished.seconds,
        text=recording.text,
        language=recording.language,
        accent=recording.accent,
        speaker=recording.speaker,
        domain=domain,
        source=recording.source,
        licence=recording.licence,
        consent=recording.consent,
        split="",
        is_synthetic=recording.is_synthetic,
        audio_sha256=finished.sha256,
    )


def summarise(
    rows: Sequence[Utterance], rejects: Sequence[Reject], skipped: Mapping[str, int]
) -> CorpusSummary:
    """The figures of a corpus's tables; `skipped` is as in `CorpusSummary`."""
    by_accent = [asdict(row) for row in split_rows(rows)]
    for row in by_accent:
        del row["split"]
    return CorpusSummary(
        utterances=len(rows),
        seconds=round(sum(row.duration for row in rows), 3),
        words=sum(len(row.text.split()) for row in rows),
        speakers=len({row.speaker for row in rows}),
        quarantined=len(rejects),
        quarantine_reasons=_counts(reject.reason for reject in rejects),
        skipped=dict(sorted(skipped.items())),
        sources=_counts(row.source for row in rows),
        licences=_counts(row.licence for row in rows),
        by_accent=by_accent,
    )


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
