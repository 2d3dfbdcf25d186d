"""Stage replay: general audio as training will replay it, with the base model's own transcripts.

It is a corpus of its own, built from `training.replay.sources`; none of it is in the domain's
corpus, its splits or its gate. `training.replay` says what may be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import base_engine, splits
from lifecycle.artifacts import Artifact
from lifecycle.corpus import build_here, with_forgotten
from lifecycle.ledgers import same_text
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import read_json, write_json
from voiceforge.params import DomainParams

if TYPE_CHECKING:
    from data.utterance import Utterance

STAGE = "replay"
VERSION = 1
FOLDER = "audio"
_HEARD = "heard.json"
_CHUNK = 32
"""Clips between two savings of what was heard."""


def make_replay(workspace: Workspace) -> Artifact | None:
    """The audio to replay; None where the domain replays nothing.

    Raises:
        UsageError: a source that cannot be meant, or a language that the base model does not know.
        SourceError, IntegrityError: speech that cannot be had.
        StageError: nothing is left that may be replayed.
    """
    from data.corpus import source_fingerprint
    from data.forgotten import read_forgotten

    settings, domain = workspace.settings, workspace.domain
    params = domain.training.replay
    if not params.share:
        return None
    general, asked = _general(domain), domain.validation
    forgotten = read_forgotten(settings.ledgers / domain.name)
    inputs = {
        "sources": source_fingerprint(general, project=settings.project),
        splits.STAGE: workspace.current(splits.STAGE).sha256,
    }
    if params.labels == "base-model":
        inputs[base_engine.STAGE] = base_engine.make_base_engine(workspace).sha256

    def build(folder: Path, checkpoints: Path) -> Mapping[str, Any]:
        from data.corpus import UTTERANCES
        from data.tables import read_utterances, write_utterances
        from training.replay import HeldOut, may_be_replayed

        build_here(
            settings,
            general,
            folder,
            forgotten,
            lambda done, total: workspace.report(STAGE, done, total, "recordings"),
        )
        held_out = HeldOut.of(splits.read_splits(workspace), same_text(workspace))
        left_out: Counter[str] = Counter()
        kept = []
        for row in read_utterances(folder / UTTERANCES):
            if row.duration > domain.training.maximum_seconds:
                left_out["too long"] += 1
            elif why := may_be_replayed(row, held_out, domain.splits, asked):
                left_out[why] += 1
            else:
                kept.append(replace(row, split="train"))
        if params.labels == "base-model":
            kept = _heard(workspace, folder, checkpoints / _HEARD, kept, left_out)
        if not kept:
            why = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
            raise StageError(
                f"Nothing is left to replay in {domain.name}: {why or 'no recordings'}. Name other "
                "sources under training.replay in params.yaml, or set its share to 0."
            )
        write_utterances(folder / UTTERANCES, kept)
        _remove_unused(folder, kept)
        languages = Counter(row.language for row in kept)
        return {
            "utterances": len(kept),
            "seconds": round(sum(row.duration for row in kept), 1),
            "words": sum(len(row.text.split()) for row in kept),
            "speakers": len({row.speaker for row in kept}),
            "languages": dict(sorted(languages.items())),
            "left_out": dict(sorted(left_out.items())),
        }

    parameters = {
        "sources": [source.model_dump(mode="json") for source in params.sources],
        "labels": params.labels,
        "maximum_seconds": domain.training.maximum_seconds,
        "splits": domain.splits.model_dump(mode="json"),
        "require_consent": asked.require_consent,
        "licences": list(asked.licences),
    }
    return workspace.make(STAGE, VERSION, with_forgotten(inputs, forgotten), parameters, build)


def _general(domain: DomainParams) -> DomainParams:
    """The domain with the sources of its replay."""
    return domain.model_copy(
        update={"name": f"{domain.name}-replay", "sources": domain.training.replay.sources}
    )


def _heard(
    workspace: Workspace,
    folder: Path,
    memory: Path,
    rows: Sequence[Utterance],
    left_out: Counter[str],
) -> list[Utterance]:
    """The rows with what the base model hears for a text, where it is sure of it."""
    from training.replay import doubt

    said = _transcribe(workspace, folder, memory, rows)
    kept = []
    for row in rows:
        text, log_probs, no_speech = said[_key(row)]
        if why := doubt(text, log_probs, no_speech, row.text, row.language):
            left_out[why] += 1
        else:
            kept.append(replace(row, text=text.strip()))
    return kept


def _transcribe(
    workspace: Workspace, folder: Path, memory: Path, rows: Sequence[Utterance]
) -> dict[str, tuple[str, list[float], float]]:
    """What the base model hears in its whole window, each clip in its own language.

    Returns:
        By `_key` the text, its tokens' log-probabilities and the probability that nothing is said.
        `memory` keeps them for a run that is killed.
    """
    from data.audio import read_flac
    from serving.engines import load_engine
    from serving.engines.contracts import DecodingOptions

    said: dict[str, tuple[str, list[float], float]] = {}
    if memory.is_file():
        said = {key: (known[0], known[1], known[2]) for key, known in read_json(memory).items()}
    place = base_engine.engine_folder(workspace.current(base_engine.STAGE))
    engine = load_engine(place, threads=workspace.settings.threads)
    size = workspace.domain.evaluation.batch_size
    unsaved = 0
    for language in sorted({row.language for row in rows}):
        waiting = {_key(row): row for row in rows if row.language == language}
        order = sorted(waiting.keys() - said.keys(), key=lambda key: (waiting[key].duration, key))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            clips = [read_flac(folder / waiting[key].audio) for key in chosen]
            heard = engine.transcribe(clips, DecodingOptions(language=language))
            for key, one in zip(chosen, heard, strict=True):
                said[key] = one.text, list(one.token_logprobs), one.no_speech_probability
            unsaved += len(chosen)
            if unsaved >= _CHUNK:
                write_json(memory, said)
                unsaved = 0
                workspace.report(STAGE, len(said), len(rows), "heard by the base model")
    return said


def _key(row: Utterance) -> str:
    """Equal for equal audio in one language, which is heard once."""
    return f"{row.language}-{row.audio_sha256}"


def _remove_unused(folder: Path, kept: Sequence[Utterance]) -> None:
    """Leave the audio of what is replayed, and no table that speaks of more."""
    from data.corpus import MEASUREMENTS, QUARANTINE

    used = {folder / row.audio for row in kept}
    for path in (folder / FOLDER).rglob("*.flac"):
        if path not in used:
            path.unlink()
    for name in (MEASUREMENTS, QUARANTINE, "summary.json"):
        (folder / name).unlink()
