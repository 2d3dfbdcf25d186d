"""A page on which a person hears and sees what augmentation does to clips of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.audio import SAMPLE_RATE, Samples, read_flac, write_flac
from data.augmentation.chain import Augmenter
from data.features import log_mel
from data.tables import UTTERANCES, read_utterances
from data.utterance import Utterance
from lifecycle import splits
from lifecycle.exhibits import CHAIN, Exhibit, describe, exhibits
from lifecycle.plots import write_spectrograms
from lifecycle.previews import IGNORE, PAGE, RECORD, remember_preview
from lifecycle.workspace import Workspace
from training.clips import choose_clips
from voiceforge.errors import UsageError
from voiceforge.files import new_folder, write_json, write_text


@dataclass(frozen=True, slots=True)
class Shown:
    """One clip after one effect: what happened, and where its files lie beside the page.

    Attributes:
        audio: "" where there is nothing to hear.
        seconds: of the clip afterwards.
    """

    clip: int
    what: str
    audio: str
    plot: str
    seconds: float


def make_preview(
    workspace: Workspace,
    out: Path,
    *,
    count: int,
    effects: Sequence[str] = (),
    seed: int | None = None,
) -> Path:
    """Write before/after audio (FLAC), spectrograms (PNG) and a page with players.

    Args:
        workspace: of the domain whose corpus is shown.
        out: the folder; an earlier preview in it is replaced. It is remembered, so that a
            forgotten speaker leaves it (`lifecycle.previews`).
        count: clips to show.
        effects: names of `lifecycle.exhibits`; all by default.
        seed: of the choice of clips and of what happens to them; the training's by default.

    Returns:
        The page.

    Raises:
        UsageError: the corpus has not been built, holds nothing, an effect is not known, or `out`
            holds other files.
        AudioError: a recording of the corpus cannot be read.
        StorageError: the disk is full or read-only.
    """
    params = workspace.domain.training
    seed = params.seed if seed is None else seed
    rows, kind = _clips(workspace)
    chosen = [rows.index(row) for row in choose_clips(rows, count, seed)]
    shown = exhibits(params.augmentation, effects, len(rows))
    _refuse_foreign(out)

    def read(clip: int) -> Samples:
        return read_flac(workspace.corpus / rows[clip].audio)

    results: dict[str, list[Shown]] = {}
    remember_preview(workspace, out)
    with new_folder(out) as folder:
        write_text(folder / IGNORE, "*\n")  # no voice gets into git by accident
        for place, clip in enumerate(chosen):
            (folder / str(place)).mkdir()
            write_flac(folder / f"{place}/original.flac", read(clip))
        for number, exhibit in enumerate(shown):
            workspace.report("preview", number, len(shown), exhibit.title)
            augmenter = Augmenter(exhibit.params, seed, len(rows), read)
            results[exhibit.name] = [
                _show(folder, place, clip, rows[clip], exhibit, augmenter)
                for place, clip in enumerate(chosen)
            ]
        clips = [rows[clip] for clip in chosen]
        title = f"{workspace.domain.name}: augmentation"
        write_text(folder / PAGE, _page(title, kind, len(rows), seed, clips, shown, results))
        write_json(folder / RECORD, _record(workspace.domain.name, seed, clips, results))
    return out / PAGE


def _clips(workspace: Workspace) -> tuple[list[Utterance], str]:
    """The clips that may be shown, and what they are: those trained on, where that is settled."""
    name = workspace.domain.name
    if not (workspace.corpus / UTTERANCES).is_file():
        raise UsageError(
            f"The corpus {name} has not been built yet: {workspace.corpus} holds no {UTTERANCES}. "
            f"`voiceforge corpus validate {name}` builds it."
        )
    longest = workspace.domain.training.maximum_seconds
    there = read_utterances(workspace.corpus / UTTERANCES)
    known = {(row.id, row.audio) for row in there}
    kind = "clips of the corpus, which has no splits yet"
    if workspace.store.has_current(name, splits.STAGE):
        kind = "training clips"
        there = [
            row
            for row in splits.read_splits(workspace)
            if row.split == "train" and (row.id, row.audio) in known
        ]
    rows = sorted((row for row in there if row.duration <= longest), key=lambda row: row.id)
    if not rows:
        raise UsageError(
            f"The corpus {name} has no {kind} of at most {longest:g} s (training.maximum_seconds), "
            f"so there is nothing to show. `voiceforge run --domain {name}` builds and splits it."
        )
    return rows, kind


def _refuse_foreign(out: Path) -> None:
    """A preview replaces its folder whole, so it must be a preview's, empty, or not there yet."""
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD).is_file():
        raise UsageError(
            f"{out} holds other files, and a preview replaces its folder. Name a new or an empty "
            "folder with --out."
        )
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Name a folder with --out.")


def _show(
    folder: Path, place: int, clip: int, row: Utterance, exhibit: Exhibit, augmenter: Augmenter
) -> Shown:
    samples = augmenter.read(clip)
    recipe = augmenter.recipe(place, row.duration)
    heard = augmenter.hear(clip, samples, recipe)
    plot, audio = f"{place}/{exhibit.name}.png", f"{place}/{exhibit.name}.flac"
    if exhibit.name == "specaugment":
        audio = ""
    else:
        write_flac(folder / audio, heard)
    before, after = log_mel(samples), log_mel(heard)
    write_spectrograms(folder / plot, before, augmenter.see(after, len(heard), recipe))
    return Shown(
        place, describe(recipe, augmenter, len(heard)), audio, plot, len(heard) / SAMPLE_RATE
    )


def _page(
    title: str,
    kind: str,
    count: int,
    seed: int,
    clips: Sequence[Utterance],
    shown: Sequence[Exhibit],
    results: dict[str, list[Shown]],
) -> str:
    from evaluation.reports.page import Section, render_page, render_template

    subtitle = f"{len(clips)} of {count:,} {kind}, seed {seed}"
    chain = next((one for one in shown if one.name == CHAIN), None)
    first = render_template("preview_summary.html", exhibits=shown, chain=chain)
    sections = [Section("summary", "What is on", first)]
    for exhibit in shown:
        html = render_template(
            "preview.html", exhibit=exhibit, clips=clips, shown=results[exhibit.name]
        )
        sections.append(Section(exhibit.name, exhibit.title, html))
    return render_page(title, subtitle, sections)


def _record(
    domain: str, seed: int, clips: Sequence[Utterance], results: dict[str, list[Shown]]
) -> dict[str, Any]:
    return {
        "domain": domain,
        "seed": seed,
        "clips": [row.id for row in clips],
        "effects": {name: [asdict(one) for one in shown] for name, shown in results.items()},
    }
