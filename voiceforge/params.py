"""params.yaml: the domains, typed and checked.

A domain is `defaults` with the domain's own keys laid over them, deeply. An unknown key or a bad
value is a `UsageError` that names the key's path, the value, and what is allowed there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from voiceforge.cron import cron_problem
from voiceforge.errors import UsageError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
DOMAIN_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptsSource(_Strict):
    """Telephone prompts read by a professional speaker, with their transcripts."""

    kind: Literal["prompts"]
    language: Literal["en", "es", "fr", "it", "ru"]


class Voices(_Strict):
    """eSpeak voice variants by split: a voice is a speaker, and no split hears another's."""

    train: tuple[str, ...] = Field(min_length=1)
    dev: tuple[str, ...] = Field(min_length=1)
    test: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _disjoint(self) -> Voices:
        every = [*self.train, *self.dev, *self.test]
        shared = sorted({voice for voice in every if every.count(voice) > 1})
        if shared:
            raise ValueError(f"the voice {shared[0]} is named twice; each belongs to one split")
        return self


class ClipsPerAccent(_Strict):
    train: Positive
    dev: Positive


class EspeakSource(_Strict):
    """Synthetic accents: eSpeak NG speaks the texts of another source."""

    kind: Literal["espeak"]
    texts: Literal["prompts"]
    language: Literal["en", "es", "fr", "it", "ru"]
    accents: tuple[str, ...] = Field(min_length=1)
    voices: Voices
    clips_per_accent: ClipsPerAccent
    words_per_accent: Positive


class FolderSource(_Strict):
    """A user's own recordings: a folder with a CSV or TSV of `audio,text[,speaker,accent,...]`."""

    kind: Literal["folder"]
    path: str
    language: str = Field(pattern=r"^[a-z]{2,3}$")
    table: str | None = None
    licence: str = "unknown"


Source = Annotated[PromptsSource | EspeakSource | FolderSource, Field(discriminator="kind")]


class SplitParams(_Strict):
    train: Share
    dev: Share
    test: Share
    minimum_speakers: Positive
    seed: int

    @model_validator(mode="after")
    def _whole(self) -> SplitParams:
        total = self.train + self.dev + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + dev + test is {total:g}, and must be 1")
        return self


class TrainingParams(_Strict):
    """See training.recipe for what each does."""

    steps: Positive
    batch_size: Positive
    learning_rate: float = Field(gt=0.0, le=1.0)
    warmup: Share
    rank: Positive
    alpha: Positive
    dropout: float = Field(ge=0.0, lt=1.0)
    targets: tuple[str, ...] = Field(min_length=1)
    trailing_silence: tuple[float, float]
    full_length_share: Share
    human_share: Share
    maximum_seconds: float = Field(gt=0.0, le=30.0)
    evaluate_every: Positive
    checkpoint_every: Positive
    dev_utterances: Positive
    seed: int

    @field_validator("trailing_silence")
    @classmethod
    def _range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= value[0] <= value[1] <= 10.0:
            raise ValueError("must be [least, most] seconds, 0 <= least <= most <= 10")
        return value


class EngineParams(_Strict):
    kind: Literal["ctranslate2"]
    precision: Literal["int8", "int8_float32", "float32"]
    trailing_silence: float = Field(ge=0.0, le=10.0)
    margin: float = Field(ge=0.0, le=100.0)


class EvaluationParams(_Strict):
    normaliser: Literal["whisper-english", "whisper-basic", "raw"]
    confidence: float = Field(gt=0.5, lt=1.0)
    resamples: int = Field(ge=200)
    batch_size: Positive
    base_words_per_accent: Positive
    base_human_words: Positive
    latency_clips: int = Field(ge=8)
    seed: int


class GateParams(_Strict):
    kind: Literal["superiority", "non-inferiority", "off"]
    margin: float = Field(ge=0.0, le=100.0)

    @model_validator(mode="after")
    def _better_has_no_margin(self) -> GateParams:
        if self.kind == "superiority" and self.margin:
            raise ValueError(
                "superiority means better than the reference and has no margin: set margin to 0.0, "
                "or kind to non-inferiority"
            )
        return self


class GatesParams(_Strict):
    """Margins are points of word error rate."""

    overall: GateParams
    human: GateParams
    synthetic: GateParams
    each_accent: GateParams
    minimum_words: Positive


class DomainParams(_Strict):
    """Everything the lifecycle of one domain is made from."""

    name: str = Field(pattern=DOMAIN_NAME)
    language: str = Field(pattern=r"^[a-z]{2,3}$")
    base_model: str
    sources: tuple[Source, ...] = Field(min_length=1)
    splits: SplitParams
    training: TrainingParams
    engine: EngineParams
    evaluation: EvaluationParams
    gates: GatesParams
    quarantine_limit: Share
    schedule: str

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(f"{problem}; a cron line is such as '0 3 * * 1'")
        return value


def load_params(path: Path) -> dict[str, DomainParams]:
    """Read params.yaml into its domains, in the order of the file.

    Raises:
        UsageError: the file is missing or not YAML, a key is unknown, or a value is not allowed.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise UsageError(f"{path} is missing. A VoiceForge project needs one.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    return parse_params(text, path)


def parse_params(text: str, path: Path) -> dict[str, DomainParams]:
    """The domains in the text of params.yaml; `path` is where errors say it lies.

    Raises:
        UsageError: as `load_params`.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold the keys 'defaults' and 'domains'.")
    for key in content:
        if key not in ("defaults", "domains"):
            raise UsageError(f"{path}: unknown key {key!r}. Allowed here: defaults, domains.")
    defaults, domains = content.get("defaults") or {}, content.get("domains") or {}
    for key, value in (("defaults", defaults), ("domains", domains)):
        if not isinstance(value, dict):
            raise UsageError(f"{path}: {key} is {value!r}. It must be a mapping.")
    return {
        str(name): _domain(path, str(name), _overlay(defaults, own))
        for name, own in domains.items()
    }


def domain_params(path: Path, name: str) -> DomainParams:
    """The parameters of one domain.

    Raises:
        UsageError: as `load_params`, or there is no such domain.
    """
    domains = load_params(path)
    if name not in domains:
        raise UsageError(
            f"There is no domain {name!r} in {path}. There are: {', '.join(domains) or 'none'}. "
            f"`voiceforge init {name} --language L --source FOLDER` adds one."
        )
    return domains[name]


def _overlay(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            key: _overlay(below.get(key), above.get(key, below.get(key)))
            for key in {**below, **above}
        }
    return below if above is None else above


def _domain(path: Path, name: str, fields: Any) -> DomainParams:
    if not isinstance(fields, dict):
        raise UsageError(f"{path}: domains.{name} is {fields!r}. It must be a mapping.")
    if "name" in fields:
        raise UsageError(f"{path}: unknown key domains.{name}.name. The name is the key itself.")
    try:
        return DomainParams.model_validate({"name": name, **fields})
    except ValidationError as error:
        problems = "; ".join(_problem(name, detail) for detail in error.errors())
        raise UsageError(f"{path}: {problems}.") from error


def _problem(name: str, detail: Any) -> str:
    parts = [str(part) for part in detail["loc"] if part not in ("prompts", "espeak", "folder")]
    key = ".".join([name, *parts]) if parts else name
    if detail["type"] == "extra_forbidden":
        allowed = _allowed(detail["loc"])
        return f"unknown key {key} (value {detail['input']!r}). Allowed here: {allowed}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{key} is {detail['input']!r}: {message[0].lower()}{message[1:]}"


_KINDS: dict[str, type[BaseModel]] = {
    "prompts": PromptsSource,
    "espeak": EspeakSource,
    "folder": FolderSource,
}


def _allowed(location: tuple[Any, ...]) -> str:
    """The keys that are allowed beside the last one of a pydantic error location."""
    model: type[BaseModel] = DomainParams
    for part in location[:-1]:
        if part in _KINDS:
            model = _KINDS[part]
        elif isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return ", ".join(key for key in model.model_fields if key != "name")
