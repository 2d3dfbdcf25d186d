"""Small files for git: what `dvc metrics`, `dvc plots` and people compare between commits.

`results/DOMAIN/` holds hashes and figures of the domain's current artifacts, nothing else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifecycle import (
    adapter,
    calibration,
    certificate,
    corpus,
    engine,
    promotion,
    reports,
    validation,
)
from lifecycle.evaluated_texts import domain_texts
from lifecycle.nemo import is_nemo
from lifecycle.workspace import Workspace
from voiceforge.files import sha256_json, write_json, write_text


def results_folder(workspace: Workspace) -> Path:
    return workspace.settings.project / "results" / workspace.domain.name


def write_results(workspace: Workspace, group: str) -> None:
    """Write the files of one group of stages (`lifecycle.stages.GROUPS`)."""
    _WRITERS[group](workspace, results_folder(workspace))


def _corpus(workspace: Workspace, folder: Path) -> None:
    made = workspace.current(corpus.STAGE)
    version = corpus.corpus_version(workspace)
    known = {key: version[key] for key in ("md5", "files", "bytes")}
    write_json(folder / "corpus.json", {"sha256": made.sha256, "dvc": known, **made.summary})
    judged = workspace.current(validation.STAGE)
    write_json(folder / "validation.json", {"sha256": judged.sha256, **judged.summary})


def _adapter(workspace: Workspace, folder: Path) -> None:
    made = workspace.current(adapter.STAGE)
    curves = ("loss_curve", "dev_curve")
    figures = {key: value for key, value in made.summary.items() if key not in curves}
    write_json(
        folder / "adapter.json", {"sha256": made.sha256, **_counted_with(workspace), **figures}
    )
    _write_csv(folder / "loss.csv", made.summary["loss_curve"])
    _write_csv(folder / "dev.csv", made.summary["dev_curve"])


def _counted_with(workspace: Workspace) -> dict[str, str]:
    """Hashes of files that later stages count with, and whose content DVC does not see."""
    if is_nemo(workspace):  # they are not counted with
        return {}
    texts = domain_texts(workspace)
    terms = {"terms_sha256": sha256_json(list(texts.terms))} if texts.terms else {}
    return {"normaliser_sha256": texts.identity["sha256"], **terms}


def _engine(workspace: Workspace, folder: Path) -> None:
    made = workspace.current(engine.STAGE)
    write_json(folder / "engine.json", {"sha256": made.sha256, **made.summary})


def _evaluation(workspace: Workspace, folder: Path) -> None:
    accuracy = workspace.current(reports.ACCURACY).summary["slices"]
    accents = workspace.current(reports.ACCENT).summary["slices"]
    latency = workspace.current(reports.LATENCY).summary
    rates = {
        str(row["slice"]): {key: value for key, value in row.items() if key != "slice"}
        for row in [*accuracy, *accents]
    }
    figures = {"accuracy": rates, "latency": dict(latency)}
    if terms := workspace.current(reports.ACCURACY).summary.get("terms"):
        figures["terms"] = {
            str(row["slice"]): {key: value for key, value in row.items() if key != "slice"}
            for row in terms
        }
    figures["calibration"] = {
        str(row["level"]): {key: value for key, value in row.items() if key != "level"}
        for row in workspace.current(calibration.STAGE).summary["levels"]
    }
    write_json(folder / "metrics.json", figures)
    _write_csv(folder / "accents.csv", accents)


def _promotion(workspace: Workspace, folder: Path) -> None:
    decided = workspace.current(certificate.STAGE)
    promoted = workspace.current(promotion.STAGE)
    write_json(
        folder / "certificate.json",
        {"sha256": decided.sha256, **decided.summary, "champion": promoted.summary["champion"]},
    )


_WRITERS: Mapping[str, Callable[[Workspace, Path], None]] = {
    "corpus": _corpus,
    "adapter": _adapter,
    "engine": _engine,
    "evaluation": _evaluation,
    "promotion": _promotion,
}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
