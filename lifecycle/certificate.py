"""Stage certificate: may this challenger reach users, compared with the champion and the base."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import (
    checks,
    corpus,
    domain_evaluation,
    engine,
    gate,
    model_version,
    predictions,
    reports,
    splits,
    validation,
)
from lifecycle.artifacts import Artifact
from lifecycle.code import code_version
from lifecycle.ledgers import read_gates
from lifecycle.model_registry import open_registry
from lifecycle.workspace import Workspace
from voiceforge.clock import moment
from voiceforge.files import sha256_json, write_json, write_text

if TYPE_CHECKING:
    from evaluation.comparison import Comparison
    from experiments.contracts import Gate, ModelReference
    from serving.registry import ModelVersion

STAGE = "certificate"
VERSION = 1
FILE = "certificate.json"
PAGE = "report.html"
LINKED = "linked"
"""Key of a certificate's summary: the artifacts whose pages its page leads to, sha256 by stage.
They are no inputs: the verdict does not depend on them."""


def make_certificate(workspace: Workspace) -> Artifact:
    """Decide, and attach the certificate to the challenger's version in the registry."""
    from serving.engines.contracts import DECODING_VERSION

    registry = open_registry(workspace.settings)
    name, registered = workspace.domain.name, workspace.current(model_version.STAGE)
    version = str(registered.summary["version"])
    champion = current_champion(workspace)
    if champion is not None and champion.version == version:
        decided = deciding_certificate(workspace, version)
        if decided and decided.parameters.get("decoding") == DECODING_VERSION:
            # A later certificate against another champion may be the version's latest.
            registry.attach_certificate(name, version, decided.path)
            return workspace.keep(STAGE, decided)
        champion = None
    if champion is not None:
        folder = registry.model_folder(name, champion.version)
        heard = predictions.make_champion_predictions(workspace, folder)
    else:
        heard = workspace.current(predictions.BASE)
    first = _first_champion(workspace, {version, champion.version if champion else ""})
    anchor = first and predictions.make_first_champion_predictions(
        workspace, registry.model_folder(name, first.version)
    )
    inputs = {
        **reports.report_inputs(workspace),
        engine.STAGE: str(registered.summary["engine_sha256"]),
        "reference_predictions": heard.sha256,
        corpus.STAGE: workspace.current(corpus.STAGE).sha256,
        validation.STAGE: workspace.current(validation.STAGE).sha256,
    }
    if anchor:
        inputs["first_champion_predictions"] = anchor.sha256
    if gates := read_gates(workspace):
        inputs["gate"] = gates[-1].sha256
    parameters = {
        **engine.statistics(workspace),
        "engine_margin": workspace.domain.engine.margin,
        "gates": workspace.domain.gates.model_dump(mode="json"),
        "quarantine_limit": workspace.domain.quarantine_limit,
        "challenger": version,
        "champion": champion.version if champion else "",
    }

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        from evaluation.reports.page import render_report
        from experiments.certificate import certificate_section, decide, summary

        against_base = _comparisons(workspace, workspace.current(predictions.BASE))
        anchors = {"base model": against_base} if champion else {}
        if anchor:
            anchors["first champion"] = _comparisons(workspace, anchor)
        test_set, shown = _test_set(workspace), workspace.current(domain_evaluation.STAGE)
        decided = decide(
            domain=name,
            challenger=_reference(name, version, registry.model_folder(name, version)),
            reference=_reference(
                name, champion.version, registry.model_folder(name, champion.version)
            )
            if champion
            else _base_reference(workspace),
            comparisons=_comparisons(workspace, heard) if champion else against_base,
            gates=workspace.domain.gates,
            checks=_checks(workspace),
            anchors=anchors,
            hashes={
                "corpus": inputs[corpus.STAGE],
                "validation": inputs[validation.STAGE],
                "splits": inputs["splits"],
                "normaliser": inputs["normaliser"],
                "parameters": sha256_json(workspace.domain.model_dump(mode="json")),
                "code": code_version(workspace),
                "challenger predictions": inputs[predictions.STAGE],
                "reference predictions": heard.sha256,
                "test set": test_set,
            },
            uses_of_test_set=_uses(workspace, test_set),
            created_at=moment(),
        )
        write_json(folder / FILE, decided.as_dict())
        page = render_report(
            reports.read_accuracy(workspace),
            reports.read_accents(workspace),
            reports.read_latency(workspace),
            reports.read_terms(workspace),
            certificate=certificate_section(decided),
            title=f"{name}, version {version}",
            further=_further(shown, folder),
        )
        write_text(folder / PAGE, page)
        return {
            "verdict": decided.verdict,
            "sentence": summary(decided),
            "version": version,
            "engine_sha256": inputs[engine.STAGE],
            "reference": champion.version if champion else "",
            "reference_name": f"version {champion.version}" if champion else "base model",
            "splits": inputs["splits"],
            LINKED: {shown.stage: shown.sha256},
            "test_set": test_set,
            "created_at": decided.created_at,
            "uses_of_test_set": decided.uses_of_test_set,
            "gates": [
                {
                    "gate": gate.name,
                    "against": gate.reference,
                    "result": gate.result,
                    "reason": gate.reason,
                }
                for gate in decided.gates
            ],
        }

    made = workspace.make(STAGE, VERSION, inputs, parameters, build)
    registry.attach_certificate(name, version, made.path)
    return made


def current_champion(workspace: Workspace) -> ModelVersion | None:
    """The version under the alias `champion`, None where there is none."""
    from serving.registry import CHAMPION

    registry = open_registry(workspace.settings)
    for version in registry.versions(workspace.domain.name):
        if CHAMPION in version.aliases:
            return version
    return None


def deciding_certificate(workspace: Workspace, version: str) -> Artifact | None:
    """The certificate that made this version champion."""
    for artifact in reversed(workspace.store.history(workspace.domain.name, STAGE)):
        summary = artifact.summary
        if summary["version"] == version and summary["verdict"] == "promote":
            return artifact
    return None


def _first_champion(workspace: Workspace, others: Collection[str]) -> ModelVersion | None:
    """The version that was promoted first, where the registry still has it and it is no other."""
    registered = open_registry(workspace.settings).versions(workspace.domain.name)
    known = {entry.version: entry for entry in registered}
    for artifact in workspace.store.history(workspace.domain.name, STAGE):
        version = str(artifact.summary["version"])
        if artifact.summary["verdict"] == "promote" and version in known:
            return None if version in others else known[version]
    return None


def _comparisons(workspace: Workspace, heard: Artifact) -> Sequence[Comparison]:
    """Challenger against other predictions: overall, human, synthetic, and each accent."""
    ours = workspace.current(predictions.STAGE)
    accuracy, accents = reports.compare(workspace, ours, heard, ("challenger", "reference"))
    return (*accuracy.comparisons, *accents.comparisons)


def _further(made: Artifact, folder: Path) -> dict[str, str]:
    """The pages of an evaluation report by title, relative to the certificate's folder."""
    beside, alone = domain_evaluation.page(made), domain_evaluation.page_alone(made)
    return {
        title: Path(os.path.relpath(page, folder)).as_posix()
        for title, page in (
            ("Every slice, and utterances with errors, beside the base model", beside),
            ("The same of all that the fine-tuned model heard", alone),
        )
    }


def _checks(workspace: Workspace) -> list[Gate]:
    from experiments.certificate import ENGINE
    from experiments.gates import check_gate

    corpus_check = checks.few_quarantined(workspace)
    agrees, sentence = engine.engine_verdict(workspace, workspace.current(engine.STAGE))
    problems = [*splits.split_problems(workspace), *gate.sealing_problems(workspace)]
    shared = workspace.current(splits.STAGE).summary.get("shared_speakers", [])
    known = f" Tested voices that also train: {', '.join(shared)}." if shared else ""
    return [
        check_gate("corpus", corpus_check.passed, corpus_check.sentence),
        check_gate(
            "splits",
            not problems,
            "; ".join(problems)
            or f"No text, and no voice that can be kept apart, is in two splits.{known}",
        ),
        check_gate(ENGINE, agrees, sentence),
    ]


def _reference(name: str, version: str, folder: Path) -> ModelReference:
    from experiments.contracts import ModelReference
    from serving.engines import engine_sha256
    from serving.engines.description import read_description

    return ModelReference(name, version, engine_sha256(folder), read_description(folder).kind)


def _base_reference(workspace: Workspace) -> ModelReference:
    folder = engine.engine_folder(workspace.current(engine.BASE))
    return _reference(workspace.domain.base_model, "", folder)


def _test_set(workspace: Workspace) -> str:
    """What is held out, which new training data leaves as it is: the gate set, or a hash."""
    from data.gate import held_out_sha256

    frozen = workspace.current(splits.STAGE).summary.get("gate")
    return (
        str(frozen["identity"]) if frozen else held_out_sha256(splits.read_split_table(workspace))
    )


def _uses(workspace: Workspace, test_set: str) -> int:
    """Certificates decided on this test set, the one at hand included.

    Freezing does not make it a fresh one: those decided on it before count on.
    """
    frozen = workspace.current(splits.STAGE).summary.get("gate", {})
    names = {test_set, frozen.get("test_set") or test_set}
    history = workspace.store.history(workspace.domain.name, STAGE)
    return 1 + sum(1 for item in history if item.summary.get("test_set") in names)
