"""Stage model card: what a model was made from, how well it hears, and how to make it again.

README.md in the form of the Hugging Face Hub, beside the model version and in MLflow, and the
parameters of the training in full.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import adapter, calibration, engine, merged_model, reports, splits
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.code import code_version
from lifecycle.corpus import corpus_version
from lifecycle.reproduction import command, parameters_hash
from lifecycle.workspace import Workspace
from voiceforge.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from evaluation.reports.card import Portion, Reproduction
    from training.energy import Energy

STAGE = "model_card"
VERSION = 1
FILE = "README.md"
PARAMETERS = "parameters.json"


def make_model_card(workspace: Workspace) -> Artifact:
    """Write the card of the current model."""
    stages = (adapter.STAGE, merged_model.STAGE, engine.STAGE, splits.STAGE, reports.ACCURACY,
              reports.ACCENT, calibration.STAGE)  # fmt: skip
    inputs = {stage: workspace.current(stage).sha256 for stage in stages}
    md5 = str(corpus_version(workspace)["md5"])
    parameters = {
        "domain": workspace.domain.name,
        "base_model": workspace.domain.base_model,
        "corpus": md5,
        "confidence": workspace.domain.evaluation.confidence,
        "energy": workspace.domain.energy.model_dump(mode="json"),
    }

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        from evaluation.reports.card import ModelCard, render_card

        domain, base = workspace.domain, base_model(workspace)
        trained = workspace.current(adapter.STAGE)
        portions = _portions(workspace)
        energy = _energy(workspace, trained)
        slices = _slices(workspace)
        card = ModelCard(
            domain=domain.name,
            language=domain.language,
            base_model=base.name,
            base_repository=_repository(domain.base_model),
            base_licence=base.licence,
            portions=portions,
            training=_training(trained),
            slices=slices,
            terms=workspace.current(reports.ACCURACY).summary.get("terms", ()),
            confidences=workspace.current(calibration.STAGE).summary["levels"],
            confidence=domain.evaluation.confidence,
            corpus_md5=md5,
            hashes={
                **{f"{stage} sha256": sha256 for stage, sha256 in inputs.items()},
                "merged tensors sha256": str(
                    workspace.current(merged_model.STAGE).summary["tensors_sha256"]
                ),
                "base model tensors sha256": base.sha256,
            },
            limits=_limits(workspace, portions, slices),
            energy=_shown_energy(energy, domain.energy.grams_per_kwh),
            reproduction=_reproduction(workspace, trained, md5),
        )
        write_text(folder / FILE, render_card(card))
        write_json(folder / PARAMETERS, dict(trained.parameters))
        return {"kwh": energy.kwh, "grams": energy.grams, "command": card.reproduction.command}

    return workspace.make(STAGE, VERSION, inputs, parameters, build)


def _portions(workspace: Workspace) -> tuple[Portion, ...]:
    """Training speech by source, licence and consent."""
    from data.columns import column
    from evaluation.reports.card import Portion

    table = splits.read_split_table(workspace)
    names = ("source", "licence", "consent", "is_synthetic", "accent", "speaker", "duration")
    columns = [column(table, name) for name in ("split", *names)]
    cells: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for split, *fields in zip(*columns, strict=True):
        if split == "train":
            cells[tuple(fields[:4])].append(tuple(fields[4:]))
    return tuple(
        Portion(
            source=source,
            licence=licence,
            consent=consent,
            is_synthetic=is_synthetic,
            accents=tuple(sorted({accent for accent, _, _ in rows})),
            speakers=len({speaker for _, speaker, _ in rows}),
            utterances=len(rows),
            seconds=sum(seconds for _, _, seconds in rows),
        )
        for (source, licence, consent, is_synthetic), rows in sorted(cells.items())
    )


def _slices(workspace: Workspace) -> list[Mapping[str, Any]]:
    rows = list(workspace.current(reports.ACCURACY).summary["slices"])
    return rows + sorted(
        workspace.current(reports.ACCENT).summary["slices"], key=lambda row: str(row["slice"])
    )


def _training(trained: Artifact) -> dict[str, str]:
    summary, params = trained.summary, trained.parameters
    facts = {
        "method": f"LoRA of rank {params['rank']} on {', '.join(params['targets'])}",
        "steps": f"{params['steps']} of {params['batch_size']} clips, learning rate "
        f"{params['learning_rate']:g}, seed {params['seed']}",
        "wall time": f"{float(summary['seconds']):,.0f} s",
    }
    if "best_step" in summary:
        facts["kept"] = (
            f"step {summary['best_step']}, {100 * summary['dev_word_error_rate']:.1f}% word errors "
            f"on {summary['dev_words']:,} dev words"
        )
    if "audio_seconds" in summary:
        facts["heard"] = (
            f"{float(summary['audio_seconds']) / 3600:.2f} h of speech, repeats counted"
        )
    if terms := params.get("terms"):
        facts["terms"] = f"{', '.join(terms)}: drawn {params['term_factor']} times as often"
    return facts


def _limits(
    workspace: Workspace, portions: Sequence[Portion], slices: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    from data.split_summary import shared_speakers

    domain = workspace.domain
    total = sum(portion.seconds for portion in portions)
    machines = sum(portion.seconds for portion in portions if portion.is_synthetic)
    people = {portion.speakers for portion in portions if not portion.is_synthetic}
    found = []
    if machines:
        found.append(
            f"{machines / total:.0%} of its training speech is synthetic. Rates on synthetic "
            "speech say little about people; both are counted apart."
        )
    if not people:
        found.append("No person's speech was trained on.")
    elif sum(people) < 5:
        found.append(f"Only {sum(people)} people were trained on.")
    minimum = domain.gates.minimum_words
    if few := [str(row["slice"]) for row in slices if row["words"] < minimum]:
        found.append(f"Fewer than {minimum} words were measured of: {', '.join(few)}.")
    if not any(str(row["slice"]) == "human speech" for row in slices):
        found.append("No person's speech was measured.")
    # Not by name: a card goes where people who are forgotten later cannot be taken out of it.
    if known := len(shared_speakers(splits.read_split_table(workspace))):
        found.append(f"{known} voices of test are known from training, with other texts.")
    unknown = sum(p.seconds for p in portions if p.consent == "unknown")
    if unknown:
        found.append(
            f"Of {unknown / 3600:.2f} h of its training speech nothing says that the speakers "
            "agreed."
        )
    found.append(
        f"It was trained on clips of up to {domain.training.maximum_seconds:g} s followed by "
        f"{domain.training.trailing_silence[0]:g} to {domain.training.trailing_silence[1]:g} s of "
        "silence, and is to be served that way."
    )
    found.append(f"Nothing was measured in other languages than {domain.language!r}.")
    return tuple(found)


def _energy(workspace: Workspace, trained: Artifact) -> Energy:
    from training.energy import estimate_energy
    from training.recipe import REPORT

    path = trained.path / REPORT
    report = read_json(path) if path.is_file() else {}
    processes = int(report.get("processes", 1))
    gpus = processes if report.get("device", "cpu") == "cuda" else 0
    threads = int(report.get("threads", workspace.settings.threads))
    return estimate_energy(
        float(trained.summary["seconds"]), threads, gpus, workspace.domain.energy
    )


def _shown_energy(energy: Energy, grams_per_kwh: float) -> dict[str, str]:
    shown = {
        "electricity of this training": f"{energy.kwh:.4f} kWh, estimated as {energy.method}, "
        "every thread busy throughout; nothing was measured at the plug",
        "CO2": f"{energy.grams:.1f} g at {grams_per_kwh:g} g a kWh",
    }
    if energy.price is not None:
        shown["machine"] = f"{energy.price:.2f} at the price an hour in params.yaml"
    return {**shown, "not counted": "the base model's training, data, evaluation and serving"}


def _reproduction(workspace: Workspace, trained: Artifact, md5: str) -> Reproduction:
    """As of now: where the adapter is older, this revision gave it the same key."""
    from evaluation.reports.card import Reproduction

    code = code_version(workspace)
    package, _, described = code.partition(" ")
    revision = described.removesuffix("+changes")
    return Reproduction(
        revision=revision,
        changed=described != revision,
        package=package,
        command=command(workspace.domain.name, md5, trained.key, parameters_hash(trained)),
        seed=int(trained.parameters["seed"]),
    )


def _repository(name: str) -> str:
    """The Hub's name of a base model of the catalogue, "" where it has none."""
    from data.catalogue import CATALOGUE, Hub

    known = CATALOGUE.get(name)
    found = [one.repository for one in known.sources if isinstance(one, Hub)] if known else []
    return next((one for one in found if re.fullmatch(r"[\w.-]+/[\w.-]+", one)), "")
