"""The page of a corpus: figures, histograms, players; it opens from the disk."""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.reasons import REASONS
from data.sources.base import Reject
from data.utterance import Utterance
from lifecycle.corpus_view import CorpusView
from lifecycle.workspace import Workspace
from voiceforge.files import write_text

_CLIPS_AN_ACCENT = 3
_CLIPS_A_REASON = 6
_LINES_A_REASON = 12


def corpus_page(workspace: Workspace) -> Path:
    """Where the page of a domain's corpus lies."""
    return workspace.settings.home / "pages" / f"corpus-{workspace.domain.name}" / "index.html"


def write_corpus_page(workspace: Workspace, view: CorpusView) -> Path:
    """Write the page and return its path."""
    from data.figures import examples, histograms
    from evaluation.reports.page import Section, render_page, template_macros
    from evaluation.reports.plots import histogram

    page = corpus_page(workspace)
    macros = template_macros("corpus.html")
    clips = [_clip(view, row, page) for row in examples(view.utterances, _CLIPS_AN_ACCENT)]
    plots = [
        (
            one.name,
            histogram(
                one.edges,
                [("candidate", one.human), ("baseline", one.synthetic)],
                unit=one.unit,
            ),
        )
        for one in histograms(view.utterances, view.measurements)
    ]
    figures = page_figures(view, page)
    sections = [
        Section("key-figures", "Key figures", macros.key_figures(figures)),
        Section("composition", "What is in it", macros.composition(figures)),
        Section("listen", "Listen", macros.listen(clips)),
        Section("spread", "How values are spread", macros.spread(plots)),
        Section("speakers", "Speakers", macros.speakers(figures)),
        Section("quarantine", "Quarantine", macros.quarantine(figures)),
    ]
    count = len(workspace.domain.sources)
    subtitle = f"corpus in {workspace.domain.language}, {count} source{'s' * (count != 1)}"
    write_text(page, render_page(view.name, subtitle, sections))
    return page


def page_figures(view: CorpusView, page: Path) -> dict[str, Any]:
    """What the page's templates show, as plain values."""
    from data.figures import speaker_figures
    from data.split_summary import split_rows

    seconds = sum(row.duration for row in view.utterances)
    human = sum(row.duration for row in view.utterances if not row.is_synthetic)
    return {
        "utterances": len(view.utterances),
        "words": sum(len(row.text.split()) for row in view.utterances),
        "length": length(seconds),
        "human_share": f"{length(human)} of people, {length(seconds - human)} synthetic",
        "speakers": speaker_figures(view.utterances),
        "accents": sorted({row.accent for row in view.utterances}),
        "recordings": len(view.utterances) + view.quarantined,
        "quarantined": view.quarantined,
        "quarantined_share": view.quarantined_share,
        "released": view.released,
        "parts": split_rows(view.utterances),
        "facts": _facts(view),
        "reasons": _reasons(view, page),
    }


def length(seconds: float) -> str:
    """Seconds of audio as "3.9 h", or "25 min" below an hour and a half."""
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def _facts(view: CorpusView) -> list[tuple[str, str]]:
    def counted(field: str) -> str:
        counts: dict[str, int] = defaultdict(int)
        for row in view.utterances:
            counts[str(getattr(row, field))] += 1
        return ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items()))

    facts = [(name, counted(field)) for name, field in
             (("sources", "source"), ("licences", "licence"), ("consent", "consent"))]  # fmt: skip
    for version in view.versions[:3]:
        when = datetime.datetime.fromtimestamp(version["time"]).strftime("%Y-%m-%d %H:%M")
        facts.append(("DVC version", f"{view.name}@{version['md5']} ({when})"))
    return facts


def _reasons(view: CorpusView, page: Path) -> list[dict[str, Any]]:
    # A second recording under an id that is taken has no audio of its own in the corpus.
    audible = view.recordings.keys() - {row.id for row in view.utterances}
    by_code: dict[str, list[Reject]] = defaultdict(list)
    for reject in view.rejects:
        by_code[reject.reason].append(reject)
    result = []
    for code, rejects in sorted(by_code.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        heard = [one for one in rejects if one.id in audible]
        unheard = [one for one in rejects if one.id not in audible]
        result.append(
            {
                "code": code,
                "count": len(rejects),
                "sentence": REASONS[code].sentence.replace("`", ""),
                "clips": [
                    _clip(view, view.recordings[one.id], page, one.detail)
                    for one in heard[:_CLIPS_A_REASON]
                ],
                "others": unheard[:_LINES_A_REASON],
            }
        )
    return result


def _clip(view: CorpusView, row: Utterance, page: Path, detail: str = "") -> Mapping[str, Any]:
    audio = Path(os.path.relpath(view.folder / row.audio, page.parent)).as_posix()
    return {
        "audio": audio,
        "text": row.text,
        "accent": row.accent,
        "speaker": row.speaker,
        "seconds": row.duration,
        "split": row.split,
        "id": row.id,
        "detail": detail,
    }
