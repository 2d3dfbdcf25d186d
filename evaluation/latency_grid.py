"""How an engine's speed depends on the length of a clip and on how many come at once.

A cell is one length and one batch size. Its first call warms up and is left out of the percentiles;
the first call of all, right after loading, is the cold one. Percentiles have distribution-free
intervals (`evaluation.quantiles`), which take calls as independent: on a machine that other work
slows down for a while they are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.quantiles import Quantile, quantile

LENGTHS = (1.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds of clips that come alone."""

BATCHES = (1, 2, 4, 8, 16, 32)
"""Clips that come at once."""


@dataclass(frozen=True, slots=True)
class LatencyCell:
    """Warm calls with clips of one length.

    Attributes:
        clip_seconds: of audio in each clip.
        batch_size: clips in a call.
        p50: seconds of a call; so are the others. An end of an interval is None where there were
            too few calls to know it.
        rtf: seconds of computing per second of audio, over all calls.
        calls: how many.
    """

    clip_seconds: float
    batch_size: int
    p50: Quantile
    p95: Quantile
    p99: Quantile
    rtf: float
    calls: int

    @property
    def rtfx(self) -> float:
        """Seconds of audio per second of computing."""
        return 1.0 / self.rtf


@dataclass(frozen=True, slots=True)
class LatencyGrid:
    """One engine, freshly loaded, on one machine.

    Attributes:
        engine: kind and precision, such as "ctranslate2 int8".
        engine_sha256: of the model that it was built from.
        threads: CPU threads that it was loaded with.
        machine: processor and cores, as the system names them.
        load_seconds: of loading it.
        cold_seconds: of the first call after that, on a clip of `cold_clip_seconds`.
        loaded_memory_bytes: most memory of the whole process, Python and libraries included, until
            the engine was loaded.
        single_memory_bytes: until the clips that come alone were heard.
        peak_memory_bytes: until the end.
        cells: by length, then by batch size.
        left_out: length and batch size of cells that would have taken too long.
    """

    engine: str
    engine_sha256: str
    threads: int
    machine: str
    load_seconds: float
    cold_seconds: float
    cold_clip_seconds: float
    loaded_memory_bytes: int
    single_memory_bytes: int
    peak_memory_bytes: int
    cells: tuple[LatencyCell, ...]
    left_out: tuple[tuple[float, int], ...] = ()

    def cell(self, clip_seconds: float, batch_size: int = 1) -> LatencyCell:
        """The cell of that length and batch size.

        Raises:
            KeyError: it was not measured.
        """
        for one in self.cells:
            if (one.clip_seconds, one.batch_size) == (clip_seconds, batch_size):
                return one
        raise KeyError(f"clips of {clip_seconds:g} s, {batch_size} at once, were not measured")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> LatencyGrid:
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(fields)


def latency_cell(
    seconds: Sequence[float], clip_seconds: float, batch_size: int, confidence: float = 0.95
) -> LatencyCell:
    """Summarise the warm calls of one cell.

    Args:
        seconds: of each call, at least one.
        clip_seconds: of audio in each clip, above 0.
        batch_size: clips in a call.
        confidence: least coverage of the intervals.

    Raises:
        ValueError: no calls, or a clip without length.
    """
    if not clip_seconds > 0.0 or batch_size < 1:
        raise ValueError(f"{batch_size} clips of {clip_seconds} s have no latency.")
    p50, p95, p99 = (quantile(seconds, share, confidence) for share in (0.5, 0.95, 0.99))
    audio = len(seconds) * batch_size * clip_seconds
    return LatencyCell(clip_seconds, batch_size, p50, p95, p99, sum(seconds) / audio, len(seconds))
