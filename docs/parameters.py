"""Writes docs/parameters.md: types, ranges and defaults from the code, meanings from here.

Run it as `python docs/parameters.py`; a test checks that the page is what it writes and that every
key has a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from voiceforge.params import DOMAIN_NAME, DomainParams, EspeakSource, FolderSource, PromptsSource
from voiceforge.settings import _KNOWN as VARIABLES

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "parameters.md"

Key = tuple[str, FieldInfo]

DOMAIN: Mapping[str, str] = {
    "language": "Language of the speech, an ISO 639 code of two or three letters.",
    "base_model": "Name in the catalogue ([data-sources.md](data-sources.md)), or the path of a "
    "Hugging Face Whisper folder with safetensors weights.",
    "sources": "Where the speech comes from, at least one; see *Sources* below.",
    "quarantine_limit": "Largest share of recordings that may be unusable before the run stops.",
    "schedule": "When the schedule, once switched on, runs the domain: a cron line of five "
    "fields in UTC.",
    "splits.train": "Share of texts (and of speakers, where they are kept apart) to train on.",
    "splits.dev": "Share that chooses the best training step and checks the engine.",
    "splits.test": "Held-out share: every figure and every gate rests on it. The three shares "
    "add up to 1.",
    "splits.minimum_speakers": "A source with at least this many speakers is also split by "
    "speaker; one with fewer is split by text alone.",
    "splits.seed": "Seed of the hash that decides splits. Changing it makes another test set.",
    "training.steps": "Optimizer steps.",
    "training.batch_size": "Clips in a step.",
    "training.learning_rate": "Peak learning rate.",
    "training.warmup": "Share of the steps in which the learning rate rises to its peak.",
    "training.rank": "Rank of the LoRA matrices.",
    "training.alpha": "LoRA scaling: the update counts alpha / rank times.",
    "training.dropout": "Dropout on the input of the LoRA matrices.",
    "training.targets": "Names of the linear layers that get LoRA matrices.",
    "training.trailing_silence": "Least and most seconds of silence after each training clip, "
    "instead of padding to 30 s.",
    "training.full_length_share": "Share of batches that are padded to the whole 30 s window "
    "nevertheless.",
    "training.human_share": "Share of the drawn clips that people speak, where a domain has "
    "people and synthetic voices.",
    "training.maximum_seconds": "Longer clips (s) are not trained on.",
    "training.evaluate_every": "Steps between word error rates on dev.",
    "training.checkpoint_every": "Steps between checkpoints: what a kill costs at most.",
    "training.dev_utterances": "Dev clips that are transcribed for each dev word error rate.",
    "training.seed": "Seed of the order of clips, their silence and the LoRA initialisation.",
    "engine.kind": "Inference engine.",
    "engine.precision": "Precision of the engine's weights.",
    "engine.trailing_silence": "Seconds of silence that the engine adds to each clip.",
    "engine.margin": "Largest loss of word error rate, in points, that the precision may surely "
    "cost on dev.",
    "evaluation.normaliser": "How texts are normalised before words are counted. English: "
    "`whisper-english`; other languages: `whisper-basic`; `raw` compares as written.",
    "evaluation.confidence": "Coverage of every interval.",
    "evaluation.resamples": "Bootstrap resamples behind every interval.",
    "evaluation.batch_size": "Clips decoded together.",
    "evaluation.base_words_per_accent": "The padded base model hears about this many words of "
    "each synthetic accent.",
    "evaluation.base_human_words": "The padded base model hears about this many words of people, "
    "of each accent. More words, narrower intervals, a slower run.",
    "evaluation.latency_clips": "Clips that latency is measured on.",
    "evaluation.seed": "Seed of the base model's sample and of the resamples.",
    "gates.overall.kind": "The gate on all held-out speech.",
    "gates.overall.margin": "Its margin, in points of word error rate; 0 for superiority.",
    "gates.human.kind": "The gate on people's speech.",
    "gates.human.margin": "Its margin, in points.",
    "gates.synthetic.kind": "The gate on synthetic speech, where there is any.",
    "gates.synthetic.margin": "Its margin, in points.",
    "gates.each_accent.kind": "The gate on each accent by itself.",
    "gates.each_accent.margin": "Its margin, in points.",
    "gates.minimum_words": "A slice with fewer words that both models heard cannot tell.",
}

SOURCES: Mapping[type[BaseModel], tuple[str, Mapping[str, str]]] = {
    FolderSource: (
        "Your own recordings ([adapt.md](adapt.md)).",
        {
            "kind": "This kind of source.",
            "path": "Folder with the recordings and their table, absolute or relative to "
            "params.yaml.",
            "language": "Language of rows that name none.",
            "table": "Name of the CSV or TSV, needed where the folder holds several.",
            "licence": "Licence of rows that name none.",
        },
    ),
    PromptsSource: (
        "Telephone prompts that a professional speaker reads.",
        {"kind": "This kind of source.", "language": "Which of the catalogue's prompts."},
    ),
    EspeakSource: (
        "Synthetic accents: eSpeak NG speaks the texts of another source.",
        {
            "kind": "This kind of source.",
            "texts": "Whose texts are spoken.",
            "language": "Language of the texts and voices.",
            "accents": "eSpeak accents, such as `en-gb-scotland`.",
            "voices.train": "Voice variants that training hears.",
            "voices.dev": "Voice variants of dev.",
            "voices.test": "Voice variants of test. No variant may be in two of the three lists.",
            "clips_per_accent.train": "Clips for training, of each accent.",
            "clips_per_accent.dev": "Clips for dev, of each accent.",
            "words_per_accent": "Held-out words of each accent, as far as texts and test voices "
            "reach.",
        },
    ),
}

_HEAD = """\
# Parameters

`params.yaml` describes the domains; `VOICEFORGE_*` variables describe the machine. Both are checked
when a command starts: an unknown key or a value that is not allowed ends it with exit code 2 and a
sentence that names the key, the value and what is allowed.

`defaults` hold for every domain. A domain's own keys are laid over them, deeply: a domain that says
`training: {steps: 400}` keeps every other default of `training`. A list replaces the whole list.
The key of a domain below `domains` is its name: lower-case letters, digits and hyphens, at most 63
(`PATTERN`).

This page is written by `python docs/parameters.py`; the defaults are those of the repository's
`params.yaml`.
"""

_VARIABLES_HEAD = """\
## Variables of the machine

An unknown variable that starts with `VOICEFORGE_` is an error, so that a misspelt one is not
overlooked.
"""


def page() -> str:
    """The whole page."""
    defaults = yaml.safe_load((PROJECT / "params.yaml").read_text())["defaults"]
    parts = [_HEAD.replace("PATTERN", DOMAIN_NAME), "## Keys of a domain\n"]
    parts.append(_table(_leaves(DomainParams, skip=("name", "sources")), DOMAIN, defaults))
    parts.append("## Sources\n\n`sources` is a list of entries of these kinds.\n")
    for model, (title, meanings) in SOURCES.items():
        kind = get_args(model.model_fields["kind"].annotation)[0]
        parts.append(f"### `kind: {kind}`\n\n{title}\n")
        parts.append(_table(_leaves(model), meanings, None))
    parts.append(_VARIABLES_HEAD)
    rows = [
        ("`" + name + "`", what[0].upper() + what[1:] + ".") for name, what in VARIABLES.items()
    ]
    parts.append(_markdown(("variable", "meaning, unit, range, default"), rows))
    return "\n".join(parts)


def _table(
    keys: Iterator[Key], meanings: Mapping[str, str], defaults: Mapping[str, Any] | None
) -> str:
    """One row a key.

    Raises:
        KeyError: a key has no meaning.
    """
    rows = []
    for path, field in keys:
        default = _default(path, field, defaults)
        rows.append((f"`{path}`", meanings[path], _allowed(field), default))
    return _markdown(("key", "meaning", "allowed", "default"), rows)


def _leaves(model: type[BaseModel], prefix: str = "", skip: Sequence[str] = ()) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name in skip:
            continue
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _default(path: str, field: FieldInfo, defaults: Mapping[str, Any] | None) -> str:
    if defaults is None:
        if field.is_required():
            return "needed"
        return "none" if field.default is None else f"`{field.default}`"
    value: Any = defaults
    for part in path.split("."):
        value = value[part]
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"`[{shown}]`" if isinstance(value, list) else f"`{shown}`"


def _allowed(field: FieldInfo) -> str:
    return _described(field.annotation, field.metadata)


def _described(annotation: Any, metadata: Sequence[Any]) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return _described(next(one for one in inner if one is not type(None)), metadata)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return "list of names" + (", not empty" if _bound(metadata, "min_length") else "")
        return "[least, most], 0 to 10"
    if pattern := _bound(metadata, "pattern"):
        return f"`{pattern}`"
    if annotation is str:
        return "text"
    kind = {int: "whole number", float: "number"}[annotation]
    return f"{kind} {_range(metadata)}".strip()


def _range(metadata: Sequence[Any]) -> str:
    marks = (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below"))
    return ", ".join(
        f"{word} {bound:g}" for name, word in marks if (bound := _bound(metadata, name)) is not None
    )


def _bound(metadata: Sequence[Any], name: str) -> Any:
    """A constraint of a field, also one that a nested `Annotated` brought."""
    for one in metadata:
        if isinstance(one, FieldInfo):
            found = _bound(one.metadata, name)
        else:
            found = getattr(one, name, None)
        if found is not None:
            return found
    return None


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in lines) + "\n"  # fmt: skip


if __name__ == "__main__":
    from voiceforge.files import write_text

    write_text(PAGE, page())
