"""Load an engine of whatever kind its engine.json names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from serving.engines.contracts import (
    DecodingOptions,
    Engine,
    EngineDescription,
    Samples,
    Transcript,
)
from serving.engines.description import read_description
from serving.engines.offered import OFFERED, engine_module, probe
from voiceforge.errors import UsageError


def load_engine(path: Path, threads: int) -> Engine:
    """Verify and load an engine folder.

    Raises:
        StorageError: there is no engine.json.
        IntegrityError: a file is not what was built.
        UsageError: this version has no engine of that kind, or this machine cannot run it.
    """
    description = read_description(path)
    if description.kind not in OFFERED:
        raise UsageError(
            f"The engine in {path} is of kind {description.kind!r}, which this version of "
            f"VoiceForge cannot run. It runs: {', '.join(OFFERED)}."
        )
    if problem := probe(description.kind).problem:
        raise UsageError(f"The engine in {path} cannot run here: {problem}.")
    loaded: Engine = engine_module(description.kind).load(path, threads=threads)
    return loaded


class OnDemand:
    """An engine folder as an engine that is loaded when it is first asked to hear something."""

    def __init__(self, path: Path, threads: int) -> None:
        self.description: EngineDescription = read_description(path)
        self._path = path
        self._threads = threads

    @cached_property
    def _engine(self) -> Engine:
        return load_engine(self._path, threads=self._threads)

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        """As `Engine.transcribe`; the first call raises as `load_engine`, too."""
        return self._engine.transcribe(clips, options)

    def detect_language(self, clip: Samples) -> str:
        """As `Engine.detect_language`; the first call raises as `load_engine`, too."""
        return self._engine.detect_language(clip)
