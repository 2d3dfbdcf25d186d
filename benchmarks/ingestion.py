"""How fast recordings become a corpus, beside FFmpeg on the same files and cores.

Every run is a process of its own, from its start to its end; its memory is that of it and all its
children, resident sets added up (what they share counts in each).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.record import Row
from benchmarks.watching import Watched, watch
from data.audio import encode_flac, read_flac
from data.sources.base import FileAudio
from data.sources.prompts import Prompts
from data.tables import load_corpus
from lifecycle.corpus import reach_of
from voiceforge.settings import PARAMS_FILE, Settings

_LANGUAGES = ("en", "es", "fr", "it", "ru")
_NEW = 50
_MAKE = (
    "from lifecycle.corpus import make_corpus\n"
    "from lifecycle.workspace import open_workspace\n"
    "import sys\n"
    "print(make_corpus(open_workspace(sys.argv[1])).reused)\n"
)
_VALIDATE = _MAKE.replace("lifecycle.corpus", "lifecycle.validation").replace(
    "make_corpus", "make_validation"
)


def measure(settings: Settings, ffmpeg: str, files: int) -> list[Row]:
    """All figures of ingestion.

    Args:
        settings: whose cache has the prompts, or gets them.
        ffmpeg: the binary to compare with.
        files: recordings of the user's folder that is ingested again.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(Path(folder), settings)
        return [*bench.beside_ffmpeg(ffmpeg), *bench.again(files)]


class _Bench:
    def __init__(self, folder: Path, settings: Settings) -> None:
        self._project, self._settings = folder / "project", settings
        self._home = folder / "home"
        self._project.mkdir()
        self._prompts = [
            recording.audio.path
            for language in _LANGUAGES
            for recording in Prompts(language).plan(reach_of(settings)).recordings
            if isinstance(recording.audio, FileAudio)
        ]
        (self._home / "cache").mkdir(parents=True)
        (self._home / "cache" / "sources").symlink_to(settings.cache / "sources")
        sources: list[dict[str, Any]] = [
            {"kind": "prompts", "language": language} for language in _LANGUAGES
        ]
        own = {"kind": "folder", "path": "calls", "language": "en"}
        domains: dict[str, Any] = {
            "prompts": {"sources": sources},
            "calls": {"sources": [own]},
            "few": {"sources": [{**own, "path": "few"}]},
        }
        shipped = yaml.safe_load((settings.project / PARAMS_FILE).read_text())
        defaults = shipped["defaults"]
        # What the base model hears is no part of ingestion; every other rule is applied.
        defaults["validation"]["agreement"]["enabled"] = False
        content = {"defaults": defaults, "domains": domains}
        (self._project / PARAMS_FILE).write_text(yaml.safe_dump(content))

    def beside_ffmpeg(self, ffmpeg: str) -> list[Row]:
        """A corpus of prompts, measured and validated; the same files through FFmpeg alone."""
        threads = self._settings.threads
        ours = self._make("prompts")
        corpus = self._project / "data" / "corpora" / "prompts"
        rows = load_corpus(corpus)
        validated = self._make("prompts", _VALIDATE)
        theirs = self._ffmpeg(ffmpeg)
        seconds = sum(row.duration for row in rows)
        rests_on = f"{len(self._prompts):,} G.722 files, {seconds:.0f} s of audio, {threads} CPUs"
        what = "decoded, measured, hashed, tables written"
        both = ours.seconds + validated.seconds
        cpu = ours.cpu_seconds + validated.cpu_seconds
        rules = "validation: signal, speech, text, duplicates and near-duplicates"
        return [
            Row(f"ingest: {what}", f"{ours.seconds:.1f} s", rests_on),
            Row(rules, f"{validated.seconds:.1f} s", f"{len(rows):,} utterances"),
            Row("ingest and validation", f"{both:.1f} s", rests_on),
            Row(f"`xargs -P{threads} ffmpeg` to 16 kHz FLAC", f"{theirs.seconds:.1f} s", rests_on),
            Row("ingest against ffmpeg", f"{theirs.seconds / ours.seconds:.2f} x", rests_on),
            Row("ingest and validation against ffmpeg", f"{theirs.seconds / both:.2f} x", rests_on),
            Row("CPU time of ingest", f"{ours.cpu_seconds:.1f} s", rests_on),
            Row("CPU time of ingest and validation", f"{cpu:.1f} s", rests_on),
            Row("CPU time of ffmpeg", f"{theirs.cpu_seconds:.1f} s", rests_on),
            Row("peak memory of ingest, all processes", _megabytes(ours), rests_on),
            Row("peak memory of validation, all processes", _megabytes(validated), rests_on),
            Row("peak memory of ffmpeg, all processes", _megabytes(theirs), rests_on),
        ]

    def again(self, files: int) -> list[Row]:
        """A user's folder: for the first time, unchanged, with new files, all from the cache."""
        self._record("calls", files)
        first = self._make("calls")
        unchanged = self._make("calls")
        shutil.rmtree(self._project / "data" / "corpora" / "calls")
        cached = self._make("calls")
        self._record("calls", files + _NEW)
        self._record("few", _NEW, first=files + _NEW)
        new = self._make("calls")
        few = self._make("few")
        rests_on = f"{files:,} FLAC files"
        return [
            Row("ingest of a folder, first time", f"{first.seconds:.1f} s", rests_on),
            Row("again, nothing new", f"{unchanged.seconds:.2f} s", rests_on),
            Row("again, corpus deleted, audio in the cache", f"{cached.seconds:.2f} s", rests_on),
            Row(f"again, {_NEW} files new", f"{new.seconds:.2f} s", f"{files + _NEW:,} FLAC files"),
            Row(f"{_NEW} files alone", f"{few.seconds:.2f} s", f"{_NEW} FLAC files"),
            Row("peak memory, first time, all processes", _megabytes(first), rests_on),
        ]

    def _make(self, domain: str, stage: str = _MAKE) -> Watched:
        environ = {
            "VOICEFORGE_PROJECT": str(self._project),
            "VOICEFORGE_HOME": str(self._home),
            "VOICEFORGE_THREADS": str(self._settings.threads),
        }
        return watch([sys.executable, "-c", stage, domain], environ={**os.environ, **environ})

    def _ffmpeg(self, ffmpeg: str) -> Watched:
        out = self._project / "ffmpeg"
        out.mkdir()
        arguments = [
            word
            for number, path in enumerate(self._prompts)
            for word in ("-i", path, "-ar", "16000", "-ac", "1", out / f"{number}.flac")
        ]
        (out / "arguments").write_text("\0".join(map(str, arguments)) + "\0")
        xargs = ["xargs", "-0", "-P", str(self._settings.threads), "-n", "7"]
        listed = ["-a", str(out / "arguments")]
        return watch([*xargs, *listed, ffmpeg, "-nostdin", "-v", "error", "-y"])

    def _record(self, name: str, count: int, first: int = 0) -> None:
        """A user's folder of so many recordings, each of its own: prompts at several levels."""
        folder = self._project / name
        folder.mkdir(exist_ok=True)
        corpus = self._project / "data" / "corpora" / "prompts"
        rows = load_corpus(corpus)
        lines = ["audio,text"]
        for number in range(first, first + count):
            row, level = rows[number % len(rows)], 0.9 ** (number // len(rows))
            path = folder / f"{number}.flac"
            if not path.exists():
                path.write_bytes(encode_flac(read_flac(corpus / row.audio) * level * 0.9))
            text = row.text.replace('"', "'")
            lines.append(f'{path.name},"{text}"')
        (folder / "table.csv").write_text("\n".join(lines) + "\n")


def _megabytes(watched: Watched) -> str:
    return f"{watched.together_bytes / 1e6:.0f} MB"
