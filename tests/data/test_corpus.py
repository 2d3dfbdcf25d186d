"""A corpus is whole, typed and reproducible, and one bad recording never stops it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import soundfile

import data.corpus
from data.audio import SAMPLE_RATE, read_flac, write_flac
from data.audio_cache import AudioCache, Kept, Result, Unusable, drop
from data.corpus import (
    MEASUREMENTS,
    QUARANTINE,
    UTTERANCES,
    CorpusSummary,
    build_corpus,
    load_corpus,
    read_rejects,
    read_utterances,
    recording_key,
    source_fingerprint,
    write_utterances,
)
from data.decoding import Decoded
from data.fetch import fetch
from data.fingerprint import NEAR, similarity
from data.measurement import Measurement
from data.measuring import measure
from data.rendering import LONGEST, _render_one, render_all
from data.sources.base import FileAudio, Recording
from data.splits import assign_splits, check_splits
from data.tables import read_measurements
from voiceforge.errors import IntegrityError, StageError, StorageError, UsageError
from voiceforge.files import sha256_file, sha256_folder
from voiceforge.params import DomainParams, load_params


def domain(project: Path, *sources: dict[str, Any]) -> DomainParams:
    """telephony-en with other sources."""
    shipped = load_params(project / "params.yaml")["telephony-en"].model_dump()
    return DomainParams.model_validate({**shipped, "sources": sources})


ESPEAK = {
    "kind": "espeak",
    "texts": "prompts",
    "language": "en",
    "accents": ["en-us", "en-gb-scotland"],
    "voices": {"train": ["m1", "f1"], "dev": ["m5"], "test": ["m7", "f5"]},
    "clips_per_accent": {"train": 12, "dev": 4},
    "words_per_accent": 100,
}


def build(params: DomainParams, out: Path, cache: Path, **options: Any) -> CorpusSummary:
    out.mkdir(parents=True, exist_ok=True)
    audio = out.parent / "audio cache"
    fields = {"project": out.parent, "cache": cache, "offline": False, "timeout": 10, "workers": 2,
              "audio_cache": audio}  # fmt: skip
    return build_corpus(params, out, **{**fields, **options})


@pytest.fixture(scope="module")
def speech(cache: Path) -> np.ndarray[Any, Any]:
    """A real recording, 1 s."""
    from data.audio import decode

    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    path = folder / "usr/share/asterisk/sounds/en_US_f_Allison/vm-login.g722"
    return decode(path)[: 1 * SAMPLE_RATE]


@pytest.fixture(scope="module")
def espeak_corpus(
    project: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DomainParams, Path, CorpusSummary]:
    out = tmp_path_factory.mktemp("corpus") / "out"
    params = domain(project, ESPEAK)
    return params, out, build(params, out, cache)


@pytest.fixture
def recordings(tmp_path: Path, speech: np.ndarray[Any, Any]) -> Path:
    """A user's folder in which nearly everything is wrong."""
    folder = tmp_path / "calls"
    folder.mkdir()
    rng = np.random.default_rng(1)
    soundfile.write(folder / "good.wav", speech, SAMPLE_RATE)
    soundfile.write(folder / "stereo 8k.wav", np.stack([speech[::2]] * 2, 1), 8000)
    soundfile.write(folder / "short.wav", speech[:800], SAMPLE_RATE)
    soundfile.write(folder / "long.wav", np.tile(speech, 31), SAMPLE_RATE)
    soundfile.write(folder / "silent.wav", rng.normal(0, 1e-4, SAMPLE_RATE), SAMPLE_RATE)
    soundfile.write(folder / "huge.wav", speech * 1e25, SAMPLE_RATE, "FLOAT")
    soundfile.write(folder / "nan.wav", np.full(SAMPLE_RATE, np.nan), SAMPLE_RATE, "FLOAT")
    whole = (folder / "good.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").touch()
    (folder / "notes.wav").write_text("not a recording " * 100)
    (folder / "noise.mp3").write_bytes(rng.bytes(5000))
    rows = [f"{path.name},some words" for path in sorted(folder.iterdir())]
    rows += ["none.wav,words", "good.wav,the same again", "stereo 8k.wav,?"]
    (folder / "table.csv").write_text("\n".join(["audio,text", *rows]) + "\n")
    return folder


def test_bad_recordings_are_quarantined_with_their_reasons(
    project: Path, cache: Path, recordings: Path, tmp_path: Path
) -> None:
    params = domain(project, {"kind": "folder", "path": "calls", "language": "en"})
    seen: list[tuple[int, int]] = []
    summary = build(params, tmp_path / "out", cache, progress=lambda *numbers: seen.append(numbers))
    rows = load_corpus(tmp_path / "out")
    assert [row.id for row in rows] == ["calls-good", "calls-stereo-8k"]
    rejects = read_rejects(tmp_path / "out" / QUARANTINE)
    found = {(reject.where, reject.reason) for reject in rejects}
    assert found == {
        ("short.wav", "too-short"),
        ("long.wav", "too-long"),
        ("silent.wav", "silent"),
        ("huge.wav", "damaged"),
        ("nan.wav", "not-finite"),
        ("cut.wav", "truncated"),
        ("empty.wav", "empty"),
        ("notes.wav", "not-audio"),
        ("noise.mp3", "not-audio"),
        ("none.wav", "missing"),
        ("good.wav", "duplicate-id"),
        ("stereo 8k.wav", "empty-text"),
    }
    # The table travels with the corpus: it says nothing about this machine.
    assert not any(str(tmp_path) in reject.detail for reject in rejects)
    assert summary.utterances == 2 and summary.quarantined == len(rejects) == 12
    assert sum(summary.quarantine_reasons.values()) == 12
    assert seen[-1][0] == seen[-1][1] == 11


def test_a_corpus_is_what_its_table_says(
    espeak_corpus: tuple[DomainParams, Path, CorpusSummary],
) -> None:
    params, out, summary = espeak_corpus
    rows = load_corpus(out)
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.flac")} == {
        row.audio for row in rows
    }
    for row in rows:
        samples = read_flac(out / row.audio)
        assert samples.size / SAMPLE_RATE == row.duration
        assert np.abs(samples).max() > 0.05
        assert row.audio_sha256 == sha256_file(out / row.audio)
        assert row.domain == "telephony-en" and row.split == "" and row.is_synthetic
        assert row.licence == "CC-BY-SA-3.0"
    assert summary.utterances == len(rows)
    assert summary.words == sum(len(row.text.split()) for row in rows)
    assert summary.seconds == pytest.approx(sum(row.duration for row in rows), abs=0.01)
    assert json.loads((out / "summary.json").read_text()) == summary.as_dict()
    assert {row["accent"]: row["speakers"] for row in summary.by_accent} == {
        "en-us": 5,
        "en-gb-scotland": 5,
    }
    assert {path.name for path in out.iterdir()} == {
        "audio",
        UTTERANCES,
        MEASUREMENTS,
        QUARANTINE,
        "summary.json",
    }
    declared = {
        f"espeak:{accent}+{voice}": split
        for accent in ESPEAK["accents"]
        for split, named in ESPEAK["voices"].items()  # type: ignore[attr-defined]
        for voice in named
    }
    assigned = assign_splits(rows, params.splits, declared)
    assert check_splits(assigned, params.splits, declared) == []
    assert not any(row.split == "left-out" for row in assigned)


def test_two_builds_are_the_same_bytes(
    espeak_corpus: tuple[DomainParams, Path, CorpusSummary], cache: Path, tmp_path: Path
) -> None:
    params, out, _ = espeak_corpus
    build(params, tmp_path / "again", cache, workers=1)
    assert sha256_folder(tmp_path / "again") == sha256_folder(out)


def test_italian_prompts_whole(project: Path, cache: Path, tmp_path: Path) -> None:
    params = domain(project, {"kind": "prompts", "language": "it"})
    summary = build(params, tmp_path / "out", cache)
    assert summary.utterances > 500 and summary.words > 2500 and summary.speakers == 1
    assert 1000 < summary.seconds < 1800
    assert summary.quarantine_reasons["damaged-text"] >= 5
    assert summary.skipped["tones and silence"] >= 10
    assert summary.quarantined / (summary.utterances + summary.quarantined) < 0.05


def test_a_killed_build_ends_its_processes_and_goes_on_where_it_stopped(
    project: Path, cache: Path, tmp_path: Path
) -> None:
    params = domain(project, {**ESPEAK, "clips_per_accent": {"train": 50, "dev": 4}})
    process = _start(params, project, cache, tmp_path)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 48:
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "audio").rglob("*.flac")}
    assert len(kept) >= 48

    # A file with a whole header and half its content, as a power cut leaves it, is made anew.
    broken = min(kept)
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    done: list[int] = []
    build(
        params,
        tmp_path / "second",
        cache,
        workers=1,
        audio_cache=tmp_path / "audio",
        progress=lambda number, total: done.append(number),
    )
    # All but the broken one, and what was under way and not yet written down, was there.
    assert done[0] >= 47
    for path, mtime in kept.items():
        assert (path.stat().st_mtime_ns == mtime) == (path != broken)
    build(params, tmp_path / "clean", cache, workers=1, audio_cache=tmp_path / "other")
    assert sha256_folder(tmp_path / "second") == sha256_folder(tmp_path / "clean")


def test_ctrl_c_leaves_no_half_corpus_and_no_process(
    project: Path, cache: Path, tmp_path: Path
) -> None:
    params = domain(project, {**ESPEAK, "clips_per_accent": {"train": 50, "dev": 4}})
    process = _start(params, project, cache, tmp_path)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 16:
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["audio", "build.py", "params.json"]
    assert not list((tmp_path / "audio").rglob("*.part"))
    assert list((tmp_path / "audio").rglob("*.flac"))  # whole, and found by the next build


def _start(params: DomainParams, project: Path, cache: Path, folder: Path) -> subprocess.Popen[str]:
    (folder / "params.json").write_text(params.model_dump_json())
    (folder / "build.py").write_text(_BUILD)
    return subprocess.Popen(
        [sys.executable, "build.py", project, cache],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


_BUILD = """
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from data.corpus import build_corpus
from voiceforge.files import new_folder
from voiceforge.params import DomainParams

if __name__ == "__main__":
    with new_folder(Path("out")) as out:
        build_corpus(
            DomainParams.model_validate_json(Path("params.json").read_text()),
            out,
            project=Path("."),
            cache=Path(sys.argv[2]),
            offline=False,
            timeout=10,
            workers=1,
            audio_cache=Path("audio").resolve(),
            progress=lambda done, total: print(done, flush=True),
        )
"""


class _Deadly(str):
    """A text that ends the process that receives it, as a crashing decoder would."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


def _recording(name: str, path: Path, text: str = "text", start: float = 0.0) -> Recording:
    return Recording(
        name, text, "en", "en", "s", "folder:x", "L", "granted", False, f"{name}.wav",
        FileAudio(path, start, 1.0 if start else None),
    )  # fmt: skip


def _rendered(recordings: Sequence[Recording], folder: Path, workers: int) -> dict[int, Result]:
    found: dict[int, Result] = {}
    for some in render_all(recordings, folder, workers):
        assert not found.keys() & some.keys()
        found |= some
    return found


def test_a_recording_that_kills_its_process_costs_only_itself(
    tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    write_flac(tmp_path / "good.flac", speech)
    recordings = [_recording(f"good-{n}", tmp_path / "good.flac") for n in range(40)]
    recordings[17] = _recording("deadly", tmp_path / "good.flac", _Deadly("x"))
    results = _rendered(recordings, tmp_path / "audio", 2)
    assert sorted(results) == list(range(40))
    for number, result in results.items():
        if number == 17:
            assert isinstance(result, Unusable) and result.reason == "crashed"
        else:
            assert isinstance(result, Kept) and result.seconds == 1.0


def test_processes_that_end_between_two_results_lose_nothing(
    tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    """The pool is found broken when it is given the next recordings, not while it works."""
    write_flac(tmp_path / "good.flac", speech)
    recordings = [_recording(f"good-{n}", tmp_path / "good.flac") for n in range(60)]
    found: dict[int, Result] = {}
    for some in render_all(recordings, tmp_path / "audio", 1):
        if not found:
            for worker in multiprocessing.active_children():
                worker.kill()
                worker.join()
            time.sleep(0.5)  # until the pool has noticed
        found |= some
    assert sorted(found) == list(range(60))
    assert all(isinstance(result, Kept) for result in found.values())


def _not_finite(name: str, decoded: Decoded) -> Measurement:
    return replace(measure(name, decoded), level=np.nan)


def _failing(name: str, decoded: Decoded) -> Measurement:
    raise IndexError("index -1 is out of bounds")


@pytest.mark.parametrize("measured", [_not_finite, _failing])
def test_what_cannot_be_measured_costs_only_itself(
    tmp_path: Path, speech: np.ndarray[Any, Any], measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flac(tmp_path / "good.flac", speech)
    monkeypatch.setattr("data.measuring.measure", measured)
    recording = _recording("x", tmp_path / "good.flac")
    result = _render_one(recording, tmp_path / "audio", LONGEST)
    assert isinstance(result, Unusable) and result.reason == "undecodable"
    assert not (tmp_path / "audio").exists()


def test_what_cannot_be_written_ends_the_build(
    tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    write_flac(tmp_path / "good.flac", speech)
    (tmp_path / "audio").touch()  # a file where a folder belongs
    with pytest.raises((OSError, StorageError)):
        _rendered([_recording("x", tmp_path / "good.flac")], tmp_path / "audio", 1)


def test_every_utterance_has_its_measurement(
    project: Path, cache: Path, recordings: Path, tmp_path: Path
) -> None:
    params = domain(project, {"kind": "folder", "path": "calls", "language": "en"})
    build(params, tmp_path / "out", cache)
    rows, facts = load_corpus(tmp_path / "out"), read_measurements(tmp_path / "out" / MEASUREMENTS)
    assert [row.id for row in rows] == [fact.id for fact in facts]
    good, narrow = facts
    assert (good.rate, good.channels) == (16_000, 1) and (narrow.rate, narrow.channels) == (8000, 2)
    assert good.bandwidth > 6000 > 4300 > narrow.bandwidth
    assert good.speech > 0.4 and narrow.speech > 0.4
    assert similarity(good.fingerprint, narrow.fingerprint) > NEAR
    samples = read_flac(tmp_path / "out" / rows[0].audio)
    assert measure("calls-good", Decoded(samples, 16_000, 1, good.clipped)) == good


def test_equal_audio_is_one_file(
    project: Path, cache: Path, tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    soundfile.write(folder / "a.wav", speech, SAMPLE_RATE)
    soundfile.write(folder / "copy of a.flac", speech, SAMPLE_RATE)
    soundfile.write(folder / "b.wav", speech[::-1], SAMPLE_RATE)
    table = "audio,text,id\na.wav,one,1\ncopy of a.flac,one,2\nb.wav,two,3\nb.wav,two,4\n"
    (folder / "t.csv").write_text(table)
    params = domain(project, {"kind": "folder", "path": "calls", "language": "en"})
    build(params, tmp_path / "out", cache)
    rows = load_corpus(tmp_path / "out")
    assert [row.audio_sha256 == rows[0].audio_sha256 for row in rows] == [True, True, False, False]
    assert rows[2].audio == rows[3].audio
    assert len(list((tmp_path / "out" / "audio").rglob("*.flac"))) == 2
    assert all(row.audio == f"audio/{row.audio_sha256[:2]}/{row.audio_sha256}.flac" for row in rows)


def test_a_rebuild_decodes_only_what_is_new(
    project: Path,
    cache: Path,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = domain(project, {"kind": "folder", "path": "calls", "language": "en"})
    rendered: list[list[str]] = []
    real = render_all

    def watched(chosen: Sequence[Recording], *more: Any) -> Any:
        rendered.append(sorted(recording.where for recording in chosen))
        return real(chosen, *more)

    monkeypatch.setattr("data.corpus.render_all", watched)
    build(params, tmp_path / "first", cache)
    assert len(rendered[0]) == 11
    # Neither what was decoded nor what cannot be is tried again.
    build(params, tmp_path / "second", cache)
    assert rendered[1] == []
    assert sha256_folder(tmp_path / "second") == sha256_folder(tmp_path / "first")
    row = load_corpus(tmp_path / "first")[0]
    assert (tmp_path / "first" / row.audio).stat().st_nlink == 3

    # Somebody wrote into a corpus, and so, by the hard link, into the cache: it goes nowhere else.
    with (tmp_path / "first" / row.audio).open("r+b") as stream:
        stream.seek(-3, os.SEEK_END)
        stream.write(b"!")
    os.utime(recordings / "short.wav", (5, 5))
    build(params, tmp_path / "third", cache)
    assert rendered[2] == ["good.wav", "short.wav"]
    assert sha256_file(tmp_path / "third" / row.audio) == row.audio_sha256

    assert drop(tmp_path / "cache", [row.audio_sha256]) == 0  # no such cache, nothing to forget
    with AudioCache(tmp_path / "audio cache") as kept:
        assert kept.drop([row.audio_sha256]) == 1
    build(params, tmp_path / "fourth", cache)
    assert rendered[3] == ["good.wav"]


def test_segments_of_one_file_are_utterances_of_their_own(
    tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    long = np.concatenate([speech * level for level in (1.0, 0.5, 0.25)])
    write_flac(tmp_path / "long.flac", long)
    cut = [_recording(f"s{start}", tmp_path / "long.flac", start=start) for start in (1.0, 2.0)]
    results = _rendered(cut, tmp_path / "audio", 1)
    peaks = [result.measurement.peak for _, result in sorted(results.items())]  # type: ignore[union-attr]
    assert peaks[0] == pytest.approx(2 * peaks[1], rel=0.01)
    assert recording_key(cut[0]) != recording_key(cut[1])


def test_nothing_usable_is_an_error_that_says_why(
    project: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "t.csv").write_text("audio,text\nnone.wav,words\n")
    params = domain(project, {"kind": "folder", "path": "calls", "language": "en"})
    with pytest.raises(StageError, match=r"none\.wav: missing"):
        build(params, tmp_path / "out", cache)


def test_fingerprint_changes_with_what_decides_a_corpus(
    project: Path, recordings: Path, tmp_path: Path
) -> None:
    folder = {"kind": "folder", "path": "calls", "language": "en"}
    params = domain(project, {"kind": "prompts", "language": "en"}, ESPEAK, folder)

    def now(params: DomainParams) -> str:
        return source_fingerprint(params, project=tmp_path)

    seen = [now(params)]
    assert now(params) == seen[0]
    louder = {**ESPEAK, "words_per_accent": 101}
    seen.append(now(domain(project, {"kind": "prompts", "language": "en"}, louder, folder)))
    splits = params.splits.model_copy(update={"seed": 21})
    seen.append(now(params.model_copy(update={"splits": splits})))
    seen.append(now(params.model_copy(update={"name": "other"})))
    os.utime(recordings / "good.wav", (5, 5))
    seen.append(now(params))
    assert len(set(seen)) == 5
    # What only training reads changes nothing.
    training = params.training.model_copy(update={"steps": 3})
    assert now(params.model_copy(update={"training": training})) == seen[-1]
    with pytest.raises(UsageError, match="does not exist"):
        source_fingerprint(params, project=tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "package", ["av", "soxr", "numpy", "soundfile", "onnxruntime", "silero-vad", "measuring"]
)
def test_what_decodes_and_measures_decides_key_and_fingerprint(
    project: Path, tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = domain(project, {"kind": "prompts", "language": "en"})
    recording = _recording("x", tmp_path / "x.wav")
    before = recording_key(recording), source_fingerprint(params, project=tmp_path)
    assert before == (recording_key(recording), source_fingerprint(params, project=tmp_path))
    if package == "measuring":
        monkeypatch.setattr("data.corpus.MEASURING_VERSION", -1)
    else:
        known = data.corpus._version
        monkeypatch.setattr(
            "data.corpus._version", lambda name: "0" if name == package else known(name)
        )
        assert known(package)  # installed under this very name
    after = recording_key(recording), source_fingerprint(params, project=tmp_path)
    assert after[0] != before[0] and after[1] != before[1]


def test_tables_keep_every_field_and_refuse_others(
    espeak_corpus: tuple[DomainParams, Path, CorpusSummary], tmp_path: Path
) -> None:
    _, out, _ = espeak_corpus
    rows = load_corpus(out)
    write_utterances(tmp_path / "t.parquet", rows)
    assert read_utterances(tmp_path / "t.parquet") == rows
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert str(schema.field("duration").type) == "double"
    assert str(schema.field("is_synthetic").type) == "bool"
    write_utterances(tmp_path / "none.parquet", [])
    assert read_utterances(tmp_path / "none.parquet") == []
    with pytest.raises(StorageError, match="missing"):
        read_utterances(tmp_path / "nothing.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(IntegrityError, match="not a table"):
        read_utterances(tmp_path / "text.parquet")
    with pytest.raises(IntegrityError, match="not a table"):
        read_utterances(out / QUARANTINE)


def test_workers_do_not_hold_the_corpus_in_memory(
    tmp_path: Path, speech: np.ndarray[Any, Any]
) -> None:
    """Twenty times the recordings, the same memory: nothing decoded is kept."""
    write_flac(tmp_path / "clip.flac", np.tile(speech, 10))
    peaks = []
    for count in (10, 200):
        recordings = [_recording(f"c{n}", tmp_path / "clip.flac") for n in range(count)]
        seen = [0]
        for some in render_all(recordings, tmp_path / str(count), 1):
            assert {getattr(result, "seconds", None) for result in some.values()} == {10.0}
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    seen.append(child.memory_info().rss)
        peaks.append(max(seen))
    # 200 clips of 10 s are 128 MB as samples.
    assert 0 < peaks[1] < peaks[0] + 40e6
