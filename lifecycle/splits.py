"""Stage splits: which utterance trains, which tunes, which decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data.utterance import Utterance
from lifecycle import validation
from lifecycle.artifacts import Artifact
from lifecycle.workspace import Workspace
from voiceforge.params import EspeakSource

STAGE = "splits"
VERSION = 2
TABLE = "utterances.parquet"


def make_splits(workspace: Workspace) -> Artifact:
    """Assign every utterance that validation let in to a split."""
    from data.splits import assign_splits, split_summary
    from data.tables import read_utterances, write_utterances

    source = workspace.current(validation.STAGE)
    params = workspace.domain.splits
    declared = _declared_speakers(workspace)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        rows = assign_splits(
            read_utterances(source.path / validation.TABLE), params, declared, _same(workspace)
        )
        write_utterances(folder / TABLE, rows)
        return split_summary(rows)

    parameters = {
        **params.model_dump(mode="json"),
        "normaliser": workspace.domain.evaluation.normaliser,
        "language": workspace.domain.language,
    }
    return workspace.make(STAGE, VERSION, {validation.STAGE: source.sha256}, parameters, build)


def read_splits(workspace: Workspace) -> list[Utterance]:
    """The corpus's utterances with their splits."""
    from data.tables import read_utterances

    return read_utterances(workspace.current(STAGE).path / TABLE)


def split_problems(workspace: Workspace) -> list[str]:
    """What is wrong with the splits, empty when nothing is: leaks and empty splits."""
    from data.splits import check_splits

    return check_splits(
        read_splits(workspace),
        workspace.domain.splits,
        _declared_speakers(workspace),
        _same(workspace),
    )


def _same(workspace: Workspace) -> Callable[[str], str]:
    """What makes two texts one: what word errors are counted on, letters and digits of it."""
    from data.splits import text_key
    from evaluation.text import normalise

    name, language = workspace.domain.evaluation.normaliser, workspace.domain.language
    return lambda text: text_key(normalise(text, name, language)) or text_key(text)


def _declared_speakers(workspace: Workspace) -> dict[str, Any]:
    """The voices whose split params.yaml names."""
    from data.sources.espeak import speaker_id

    return {
        speaker_id(accent, voice): split
        for source in workspace.domain.sources
        if isinstance(source, EspeakSource)
        for accent in source.accents
        for split in ("train", "dev", "test")
        for voice in getattr(source.voices, split)
    }
