"""The model card: what a model was made from, how well it hears, and where its limits are.

Markdown with a YAML head as the Hugging Face Hub reads it (huggingface_hub's `ModelCardData`; the
results are its "model-index"). Source of the sections: Mitchell et al. 2019, "Model Cards for Model
Reporting".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Portion:
    """Training speech of one source, licence and consent; machines and people apart."""

    source: str
    licence: str
    consent: str
    is_synthetic: bool
    accents: tuple[str, ...]
    speakers: int
    utterances: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How to make the model again.

    Attributes:
        revision: of the project's git checkout, "" where there was none.
        changed: whether the checkout held uncommitted changes.
        package: version of VoiceForge.
        command: the exact command, to be run in that checkout.
        seed: of the training; it is part of the parameters that the command names by hash.
    """

    revision: str
    changed: bool
    package: str
    command: str
    seed: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that the card says.

    Attributes:
        base_repository: the base model's home on the Hugging Face Hub, "" where it has none.
        training: facts of the training in a few words each, by name.
        slices: rows of `lifecycle.reports.slice_row`; the first is all speech.
        terms: rows about the vocabulary, may be empty.
        confidences: rows of the stage calibration, one a level.
        corpus_md5: DVC's hash of the corpus.
        hashes: sha256 of what the model was made from and is, by name.
        limits: a sentence each.
        energy: the estimate in a few words each, by name.
    """

    domain: str
    language: str
    base_model: str
    base_repository: str
    base_licence: str
    portions: tuple[Portion, ...]
    training: Mapping[str, str]
    slices: Sequence[Mapping[str, Any]]
    terms: Sequence[Mapping[str, Any]]
    confidences: Sequence[Mapping[str, Any]]
    confidence: float
    corpus_md5: str
    hashes: Mapping[str, str]
    limits: tuple[str, ...]
    energy: Mapping[str, str]
    reproduction: Reproduction


def render_card(card: ModelCard) -> str:
    """The whole README.md."""
    parts = [f"---\n{_head(card)}---", f"# {card.domain}", _introduction(card)]
    parts += ["## What it was trained on", _portions(card.portions), _facts(card.training)]
    parts += ["## How well it hears", _slices(card)]
    if card.terms:
        parts += ["## Terms of its vocabulary", _terms(card)]
    parts += ["## What its confidence is worth", _confidences(card.confidences)]
    parts += ["## Intended use", _use(card), "## Limits", _list(card.limits)]
    parts += ["## Energy and cost", _facts(card.energy)]
    parts += ["## How to make it again", _reproduction(card)]
    return "\n\n".join(parts) + "\n"


def front_matter(card: ModelCard) -> dict[str, Any]:
    """The card's head, keys as huggingface_hub names them."""
    dataset: dict[str, str] = {
        "type": f"corpora/{card.domain}",
        "name": f"{card.domain}, held-out speech",
        "split": "test",
        "revision": card.corpus_md5,
    }
    results: list[dict[str, Any]] = [
        {
            "task": {"type": "automatic-speech-recognition", "name": "speech recognition"},
            "dataset": {**dataset, "config": str(row["slice"])},
            "metrics": [
                {
                    "type": "wer",
                    "name": f"word error rate, {row['words']:,} words, "
                    f"{100 * card.confidence:g}% interval {_interval(row, '')}",
                    "value": round(100 * row["word_error_rate"], 2),
                }
            ],
        }
        for row in card.slices
    ]
    head: dict[str, Any] = {
        "language": [card.language],
        "license": "other",
        "license_name": "of-base-model-and-recordings",
        "library_name": "voiceforge",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["automatic-speech-recognition", "whisper", "lora", "voiceforge"],
        "metrics": ["wer"],
    }
    if card.base_repository:
        head |= {"base_model": card.base_repository, "base_model_relation": "finetune"}
    # "model-index" needs a name; the Hub shows the results below it.
    return {**head, "model-index": [{"name": card.domain, "results": results}]}


def _head(card: ModelCard) -> str:
    import yaml

    text: str = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True)
    return text


def _introduction(card: ModelCard) -> str:
    licences = sorted({portion.licence for portion in card.portions})
    return (
        f"{card.base_model} ({card.base_licence}), fine-tuned with LoRA for the domain "
        f"{card.domain} ({card.language}) and merged. Its weights derive from the base model; its "
        f"training speech is under {', '.join(licences) or 'no licence that is known'}: what that "
        "asks of derived weights is for you to judge."
    )


def _portions(portions: Sequence[Portion]) -> str:
    columns = ("source", "spoken by", "speakers", "accents", "utterances", "hours", "licence",
               "consent")  # fmt: skip
    rows = [
        (
            portion.source,
            "machines" if portion.is_synthetic else "people",
            f"{portion.speakers:,}",
            ", ".join(portion.accents),
            f"{portion.utterances:,}",
            f"{portion.seconds / 3600:.2f}",
            portion.licence,
            portion.consent,
        )
        for portion in portions
    ]
    return _table(columns, rows)


def _slices(card: ModelCard) -> str:
    columns = ("held-out speech", "word error rate", "words", "utterances", "base model",
               "difference, points", "words compared")  # fmt: skip
    rows = []
    for row in card.slices:
        compared = "base" in row
        base = f"{100 * row['base']:.1f}% {_interval(row, 'base_')}" if compared else ""
        change = (
            f"{100 * row['difference']:+.1f} {_interval(row, 'difference_')}" if compared else ""
        )
        rate = f"{100 * row['word_error_rate']:.1f}% {_interval(row, '')}"
        words = f"{row['compared_words']:,}" if compared else ""
        rows.append(
            (row["slice"], rate, f"{row['words']:,}", f"{row['utterances']:,}", base, change, words)
        )
    return (
        f"{_table(columns, rows)}\n\nPooled word error rates with {100 * card.confidence:g}% "
        "intervals (bootstrap over texts), on texts that training has not seen. The padded base "
        "model hears a sample; differences rest on what both heard."
    )


def _terms(card: ModelCard) -> str:
    columns = ("held-out speech", "recall", "occurrences", "precision", "heard", "base model")
    rows = []
    for row in card.terms:
        shown = [str(row["slice"])]
        for name in ("recall", "precision"):
            known = row[name] is not None
            shown += [f"{100 * row[name]:.1f}% {_interval(row, f'{name}_')}" if known else "none",
                      str(row[f"{name}_occurrences"] or 0)]  # fmt: skip
        base = row["baseline"]
        shown.append("" if base is None else f"{100 * base:.1f}% {_interval(row, 'baseline_')}")
        rows.append(shown)
    return _table(columns, rows)


def _confidences(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("of", "calibrator, fitted on dev", "calibration error on test", "calibrated",
               "judged on")  # fmt: skip
    cells = []
    for row in rows:
        level = row["level"]
        fitted = (
            f"{row['calibrator']}, {row['fitted_on']:,} {level}s, {row['fitted_on_errors']:,} wrong"
            if row["fitted"]
            else f"none: {row['unfitted']}"
        )
        before = after = on = ""
        if "ece_before" in row:
            before = f"{row['ece_before']:.3f}"
            on = f"{row['units']:,} {level}s of {row['texts']:,} texts"
        if "ece_after" in row:
            before = f"{before} {_fractions(row, 'ece_before')}"
            after = f"{row['ece_after']:.3f} {_fractions(row, 'ece_after')}"
        cells.append((f"{level}s", fitted, before, after, on))
    return (
        f"{_table(columns, cells)}\n\nThe calibration error is the mean distance between "
        "confidence and the share that is right (ECE, 15 bins at most). `calibrator.json` is "
        "stored with the model; where none could be fitted a confidence orders answers and is no "
        "probability."
    )


def _use(card: ModelCard) -> str:
    return (
        f"Transcription of speech in {card.language!r} like that of the tables above, read or "
        "said to a machine or on the phone, by a service that people can correct. Not intended: "
        "other languages, telling who speaks, and decisions about people that rest on a transcript "
        "which nobody has checked. Whether this version may serve users at all is what its "
        "certificate says, not this card."
    )


def _reproduction(card: ModelCard) -> str:
    made = card.reproduction
    where = f"git checkout {made.revision}\n" if made.revision else ""
    note = (
        "The checkout held changes that were not committed: that revision alone gives another "
        "model where they touched code, params.yaml or the ledgers."
        if made.changed
        else ""
    )
    if not made.revision:
        note = "The project was no git checkout, so that its code and params.yaml are not recorded."
    return (
        f"Data version `{card.domain}@{card.corpus_md5}`, VoiceForge {made.package}, seed "
        f"{made.seed}. {note}".rstrip()
        + f"\n\n```sh\n{where}{made.command}\n```\n\n"
        + "The command refuses to train where corpus, splits, base model or parameters are others. "
        "On the same kind of processor with as many threads the weights are the same; elsewhere "
        "they differ by rounding.\n\n" + _facts(card.hashes)
    )


def _facts(facts: Mapping[str, str]) -> str:
    return _list([f"{name}: {value}" for name, value in facts.items()])


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _fractions(row: Mapping[str, Any], name: str) -> str:
    return f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _interval(row: Mapping[str, Any], prefix: str) -> str:
    return f"[{100 * row[f'{prefix}low']:.1f}, {100 * row[f'{prefix}high']:.1f}]"
