"""`voiceforge status`: each domain's champion, verdict, word error rates and age."""

from __future__ import annotations

import datetime
import json
from typing import Any

from rich.table import Table

from cli.console import say, show_table
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, Settings, load_settings


def show_status(*, as_json: bool) -> None:
    """Print one row a domain of params.yaml."""
    settings = load_settings()
    rows = [_row(settings, name) for name in load_params(settings.project / PARAMS_FILE)]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))  # noqa: T201
        return
    table = Table()
    for column in ("domain", "champion", "last verdict", "base", "fine-tuned", "age"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row["domain"],
            f"version {row['champion']}" if row["champion"] else "none",
            row["verdict"] or "has not run",
            _rate(row["base"]),
            _rate(row["fine_tuned"]),
            _age(row["decided_at"]),
        )
    show_table(table)
    for row in rows:
        for mark in row["marks"]:
            say(f"{row['domain']}: {mark}")


def _row(settings: Settings, domain: str) -> dict[str, Any]:
    from lifecycle import calibration, certificate, domain_evaluation, marks, reports
    from lifecycle.artifacts import ArtifactStore
    from lifecycle.model_registry import open_registry
    from serving.registry import CHAMPION

    store = ArtifactStore(settings.artifacts)
    row: dict[str, Any] = {
        "domain": domain,
        "champion": None,
        "verdict": None,
        "decided_at": None,
        "base": None,
        "fine_tuned": None,
        "marks": [],
        "calibration": None,
        "evaluation_report": None,
    }
    if store.has_current(domain, certificate.STAGE):
        artifact = store.current(domain, certificate.STAGE)
        decided = artifact.summary
        row |= {"verdict": decided["verdict"], "decided_at": decided["created_at"]}
        registry = open_registry(settings)
        known = registry.versions(domain)
        champion = next((one for one in known if CHAMPION in one.aliases), None)
        row["champion"] = champion.version if champion else None
        row["marks"] = marks.sentences(artifact.path, champion)
    if store.has_current(domain, reports.ACCURACY):
        overall = store.current(domain, reports.ACCURACY).summary["slices"][0]
        keys = {"value": "word_error_rate", "low": "low", "high": "high", "words": "words"}
        row["fine_tuned"] = {name: overall[key] for name, key in keys.items()}
        if "base" in overall:
            keys = {"value": "base", "low": "base_low", "high": "base_high"}
            row["base"] = {name: overall[key] for name, key in keys.items()}
            row["base"]["words"] = overall["compared_words"]
    if store.has_current(domain, calibration.STAGE):
        row["calibration"] = store.current(domain, calibration.STAGE).summary["levels"]
    if store.has_current(domain, domain_evaluation.STAGE):
        made = store.current(domain, domain_evaluation.STAGE)
        row["evaluation_report"] = str(domain_evaluation.page(made))
    return row


def _rate(estimate: dict[str, float] | None) -> str:
    if estimate is None:
        return ""
    return (
        f"{100 * estimate['value']:.1f}% [{100 * estimate['low']:.1f}, "
        f"{100 * estimate['high']:.1f}], {estimate['words']:,} words"
    )


def _age(moment: str | None) -> str:
    if moment is None:
        return ""
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)
    if age.days:
        return f"{age.days} d"
    hours, rest = divmod(age.seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min"
