"""The signal-to-noise ratio of recordings; a stage keeps those of a domain's test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import predictions, splits
from lifecycle.artifacts import Artifact
from lifecycle.workspace import Workspace
from voiceforge.files import write_json

if TYPE_CHECKING:
    from data.utterance import Utterance

STAGE = "signal_to_noise"
VERSION = 1
FILE = "snr.json"


def make_signal_to_noise(workspace: Workspace) -> Artifact:
    """Of the test split; it depends on the recordings alone, and every report reads it.

    Raises:
        AudioError: a recording cannot be read.
    """

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        rows = predictions.test_utterances(workspace)
        found = measured(
            rows,
            workspace.corpus,
            threads=workspace.settings.threads,
            progress=lambda done, total: workspace.report(STAGE, done, total, "recordings"),
        )
        write_json(folder / FILE, found)
        told = sum(ratio is not None for ratio in found.values())
        return {"utterances": len(found), "measured": told}

    table = workspace.current(splits.STAGE)
    return workspace.make(STAGE, VERSION, {splits.STAGE: table.sha256}, {}, build)


def measured(
    rows: Sequence[Utterance],
    corpus: Path,
    *,
    threads: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float | None]:
    """Ratio of each recording by utterance id, dB, to two places; None where it does not tell.

    Args:
        corpus: folder that the recordings' paths are relative to.
        progress: called with (done, total).

    Raises:
        AudioError: a recording cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    from data.audio import read_flac
    from data.snr import signal_to_noise

    def ratio_of(row: Utterance) -> float | None:
        return signal_to_noise(read_flac(corpus / row.audio))

    found: dict[str, float | None] = {}
    with ThreadPoolExecutor(threads) as pool:
        for row, ratio in zip(rows, pool.map(ratio_of, rows), strict=True):
            found[row.id] = None if ratio is None else round(ratio, 2)
            progress(len(found), len(rows))
    return found
