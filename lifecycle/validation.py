"""Stage validation: which of the corpus's utterances may be trained on and measured with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.releases import RELEASES, Release
from lifecycle import base_engine, corpus
from lifecycle.artifacts import Artifact
from lifecycle.ledgers import read_gates, read_ledger, same_text
from lifecycle.nemo import check_nemo
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import sha256_file

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.agreement import Heard

STAGE = "validation"
VERSION = 2
TABLE = "utterances.parquet"
QUARANTINE = "quarantine.parquet"
AGREEMENT = "agreement.parquet"
DOCS = "data_docs"


QUARANTINE_ADVICE = "Mend or release them, or raise quarantine_limit."


def make_validation(workspace: Workspace) -> Artifact:
    """Judge every utterance of the corpus; what fails goes to quarantine.

    The artifact holds `utterances.parquet` (what may be used), `quarantine.parquet` (all rejects,
    the corpus's included), `agreement.parquet` (what the base model heard) and `data_docs`.

    Raises:
        IntegrityError: releases, ledger, gate sets or tables that cannot be read; the message says
            which line.
        StageError: people's speech is to be heard, and the base engine has not been built.
    """
    from data.releases import read_releases
    from evaluation.text import normaliser_identity

    source = workspace.current(corpus.STAGE)
    releases = read_releases(workspace.ledgers)
    domain = workspace.domain
    params = domain.validation
    gates = read_gates(workspace)
    normaliser = normaliser_identity(domain.evaluation.normaliser)["sha256"]
    inputs = {corpus.STAGE: source.sha256, "normaliser": normaliser}
    parameters: dict[str, Any] = {
        "validation": params.model_dump(mode="json"),
        "language": domain.language,
    }
    if releases:
        inputs["releases"] = sha256_file(workspace.ledgers / RELEASES)
    if gates:  # and no ledger: see `data.precedence`
        inputs["gate"] = gates[-1].sha256
    check_nemo(workspace)
    if params.agreement.enabled:
        from lifecycle.agreement import SECOND_NORMALISER
        from serving.engines.contracts import DECODING_VERSION

        inputs[base_engine.STAGE] = workspace.current(base_engine.STAGE).sha256
        inputs["second_normaliser"] = normaliser_identity(SECOND_NORMALISER)["sha256"]
        parameters["decoding"] = DECODING_VERSION

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        return _build(workspace, source.path, folder, releases)

    return workspace.make(STAGE, VERSION, inputs, parameters, build)


def docs_page(artifact: Artifact) -> Path:
    """The first page of a validation's Data Docs."""
    from data.expectations import INDEX

    return artifact.path / DOCS / INDEX


def current_validation(workspace: Workspace) -> Artifact:
    """The validation of the corpus as it lies.

    Raises:
        StageError: there is none, or it is of another version of the corpus, as after a checkout.
    """
    name = workspace.domain.name
    if not all(workspace.store.has_current(name, stage) for stage in (corpus.STAGE, STAGE)):
        raise StageError(
            f"The corpus {name} has not been built and validated yet. `voiceforge corpus validate "
            f"{name}` does both."
        )
    made = workspace.current(STAGE)
    if made.inputs.get(corpus.STAGE) != workspace.current(corpus.STAGE).sha256:
        raise StageError(
            f"The validation of {workspace.domain.name} is of another version of the corpus; run "
            f"`voiceforge corpus validate {workspace.domain.name}`."
        )
    return made


def quarantine_verdict(workspace: Workspace) -> tuple[bool, str, Mapping[str, Any]]:
    """Whether decoding and validation lost at most `quarantine_limit`; why; the figures.

    What forgotten speakers said is not lost but left out, and a recording whose text a user
    corrected is there with the correction: neither counts.
    """
    from data.forgotten import REASON

    made, limit = workspace.current(STAGE), workspace.domain.quarantine_limit
    summary = made.summary
    reasons: Mapping[str, int] = summary["quarantine_reasons"]
    lost = summary["quarantined"] - reasons.get(REASON, 0) - reasons.get("corrected", 0)
    total = summary["utterances"] + lost
    share = lost / max(1, total)
    often = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = f" ({', '.join(f'{code} {count}' for code, count in often)})" if often else ""
    return (
        summary["utterances"] > 0 and share <= limit,
        f"{lost} of {total} recordings ({share:.1%}) are in "
        f"quarantine{counts}; quarantine_limit allows {limit:.0%}. Each is named with its reason "
        f"in {made.path / QUARANTINE}.",
        {"share": share, "limit": limit, **{f"quarantined: {code}": n for code, n in often}},
    )


def _build(
    workspace: Workspace, source: Path, folder: Path, releases: tuple[Release, ...]
) -> Mapping[str, Any]:
    from data.precedence import precedence
    from data.tables import (
        read_rejects,
        read_utterance_table,
        write_rejects,
        write_utterance_table,
    )
    from data.validation import summarise, validate
    from data.validation_columns import read_frame, unknown_alphabets

    heard: list[Heard] = []

    def hear(people: pd.DataFrame) -> Mapping[str, float]:
        heard.extend(_hear(workspace, people))
        return {one.id: one.character_error_rate for one in heard}

    frame = read_frame(source)
    verdict = validate(
        frame,
        workspace.domain.validation,
        name=workspace.domain.name,
        releases=releases,
        hear=hear if workspace.domain.validation.agreement.enabled else None,
        near_pairs=lambda rows, least: near_pairs_of(source, rows["id"].tolist(), least),
        rank=precedence(read_ledger(workspace), read_gates(workspace)),
        same_text=same_text(workspace),
        docs=folder / DOCS,
    )
    rejects = [*read_rejects(source / QUARANTINE), *verdict.rejects]
    summary = {
        **summarise(frame[verdict.accepted], rejects, verdict.released),
        "releases_on_file": len(releases),
        "heard": len(heard),
        "alphabet_not_checked": unknown_alphabets(frame["language"].unique().tolist()),
    }
    del frame  # A million rows in it and in what is written at once would be too much.
    table = read_utterance_table(source / TABLE)
    write_utterance_table(folder / TABLE, table.filter(verdict.accepted))
    write_rejects(folder / QUARANTINE, rejects)
    _write_heard(folder / AGREEMENT, heard)
    return summary


def _hear(workspace: Workspace, people: pd.DataFrame) -> list[Heard]:
    from lifecycle.agreement import Clip, hear

    columns = ("id", "audio", "duration", "text", "audio_sha256")
    rows = zip(*(people[name].tolist() for name in columns), strict=True)
    return hear(
        workspace,
        [Clip(*row) for row in rows],
        lambda done, total: workspace.report(STAGE, done, total, "heard by the base model"),
    )


def near_pairs_of(source: Path, ids: list[str], least: float) -> Iterable[tuple[str, str]]:
    """Pairs of ids of recordings in a corpus's folder that sound alike, at `least` so much."""
    from data.fingerprint import near_pairs
    from data.validation_columns import read_fingerprints

    pairs = near_pairs(read_fingerprints(source, ids), least)
    return [(ids[one], ids[other]) for one, other, _ in pairs]


def _write_heard(path: Path, rows: list[Heard]) -> None:
    import io
    from dataclasses import asdict

    import pyarrow as pa
    import pyarrow.parquet as pq

    from voiceforge.files import write_bytes

    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("audio_sha256", pa.string(), nullable=False),
            pa.field("hypothesis", pa.string(), nullable=False),
            pa.field("character_error_rate", pa.float64(), nullable=False),
            pa.field("window", pa.int64(), nullable=False),
        ]
    )
    stream = io.BytesIO()
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    pq.write_table(table, stream, compression="zstd")
    write_bytes(path, stream.getvalue())
