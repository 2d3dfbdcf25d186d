"""Stage engine choice: which of a domain's engines serves: of those that pass, the fastest on dev.

It is only made for a domain that names alternatives in params.yaml. Times are measured here and
now; the choice stands until an engine, the machine or the margin is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import engine as engines
from lifecycle import splits
from lifecycle.artifacts import Artifact
from lifecycle.reports import evenly
from lifecycle.workspace import Workspace
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from data.utterance import Utterance
    from serving.engines.choice import Checked, Choice

STAGE = engines.CHOICE
VERSION = 1
FILE = "choice.json"
_REPEATS = 2


def make_choice(workspace: Workspace, built: Mapping[str, Artifact]) -> Choice:
    """Time the engines on dev and choose.

    Args:
        built: engine artifacts by name, those that this machine can run.
    """
    from evaluation.runners import machine_name
    from serving.engines import engine_sha256
    from serving.engines.choice import choose

    params = workspace.domain.evaluation

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        clips = [row for row in splits.read_splits(workspace) if row.split == "dev"]
        timed = evenly(clips, params.latency_clips)
        choice = choose([
            _checked(workspace, name, built.get(name), timed)
            for name in workspace.domain.engine.names
        ])  # fmt: skip
        write_json(folder / FILE, choice.as_dict())
        return choice.as_dict()

    made = workspace.make(
        STAGE,
        VERSION,
        {
            **{name: engine_sha256(engines.engine_folder(one)) for name, one in built.items()},
            splits.STAGE: workspace.current(splits.STAGE).sha256,
        },
        {
            **engines.statistics(workspace),
            "engines": list(workspace.domain.engine.names),
            "margin": workspace.domain.engine.margin,
            "machine": machine_name(),
            "threads": workspace.settings.threads,
            "clips": params.latency_clips,
            "batch_size": params.batch_size,
        },
        build,
    )
    return read_choice(made)


def read_choice(artifact: Artifact) -> Choice:
    """What was chosen."""
    from serving.engines.choice import Choice

    return Choice.from_dict(read_json(artifact.path / FILE))


def current_choice(workspace: Workspace) -> Choice | None:
    """The choice that the domain's engine is of; None for one that had no alternatives."""
    if not workspace.domain.engine.alternatives:
        return None
    if not workspace.store.has_current(workspace.domain.name, STAGE):
        return None
    return read_choice(workspace.current(STAGE))


def explained(workspace: Workspace) -> Choice:
    """The choice, or for a domain without alternatives its one engine, which nothing has timed.

    Raises:
        StageError: the domain has no engine yet.
    """
    from evaluation.estimate import Estimate
    from serving.engines.choice import Checked, Choice

    built = workspace.current(engines.STAGE)
    if choice := current_choice(workspace):
        return choice
    name, loss = _name(built), engines.engine_loss(built)
    passed, sentence = engines.engine_verdict(workspace, built)
    one = Checked(
        name,
        passed=passed,
        word_error_rate=Estimate.from_dict(dict(built.summary["word_error_rate_after"])),
        loss=loss,
        size=int(built.summary["bytes"]),
    )
    why = f"{name} is the one engine that params.yaml names. {sentence}"
    return Choice(name, why, (one,))


def figures(choice: Choice) -> list[dict[str, Any]]:
    """Each engine as plain figures: rates are fractions; what cannot run here has none."""
    rows = []
    for one in choice.engines:
        result = "chosen" if one.name == choice.chosen else "passed"
        rows.append({
            "engine": one.name,
            "result": one.unavailable or (result if one.passed else "did not pass"),
            "word error rate": one.word_error_rate.value if one.word_error_rate else None,
            "loss": one.loss.value if one.loss else None,
            "seconds a clip": round(one.seconds, 4) or None,
            "audio seconds a second": round(one.audio_per_second, 1) or None,
            "megabytes": round(one.size / 1e6, 1) or None,
        })  # fmt: skip
    return rows


def reason(workspace: Workspace, engine: Artifact) -> str:
    """Why the engine serves; "" where there was nothing to choose from."""
    choice = current_choice(workspace)
    return choice.reason if choice and choice.chosen == _name(engine) else ""


def _name(engine: Artifact) -> str:
    return f"{engine.summary['kind']}:{engine.summary['precision']}"


def _checked(
    workspace: Workspace, name: str, built: Artifact | None, clips: list[Utterance]
) -> Checked:
    from data.audio import read_flac
    from evaluation.estimate import Estimate
    from evaluation.runners import measure_latency
    from serving.engines import load_engine
    from serving.engines.choice import Checked
    from serving.engines.offered import parse_engine, probe

    if built is None:
        return Checked(name, unavailable=probe(parse_engine(name).kind).problem)
    threads = workspace.settings.threads
    workspace.report(STAGE, 0, 0, f"timing {name}")
    measured = measure_latency(
        load_engine(engines.engine_folder(built), threads=threads),
        [read_flac(workspace.corpus / row.audio) for row in clips],
        repeats=_REPEATS,
        threads=threads,
        batch_size=workspace.domain.evaluation.batch_size,
    )
    loss = engines.engine_loss(built)
    return Checked(
        name,
        passed=engines.passes(workspace, loss),
        word_error_rate=Estimate.from_dict(dict(built.summary["word_error_rate_after"])),
        loss=loss,
        seconds=measured.seconds.p50,
        audio_per_second=measured.rtfx_batch,
        size=int(built.summary["bytes"]),
    )
