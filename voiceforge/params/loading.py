"""Reading params.yaml into its domains.

A domain is `defaults` with the domain's own keys laid over them, deeply. An unknown key or a bad
value is a `UsageError` that names the key's path, the value, and what is allowed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from voiceforge.errors import UsageError
from voiceforge.params.domain import DomainParams
from voiceforge.params.sources import KINDS

_LONGEST_VALUE = 160
"""Letters of a bad value that an error shows; whole lists of sources are longer."""


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
        str(name): _domain(path, str(name), overlay(defaults, own)) for name, own in domains.items()
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
            f"`voiceforge corpus add {name} --source KIND --path P --language L` adds one."
        )
    return domains[name]


def overlay(below: Any, above: Any) -> Any:
    """The values of `above` laid over those of `below`: mappings key by key, all else whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            key: overlay(below.get(key), above.get(key, below.get(key)))
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
        problems = "; ".join(_problem(name, detail) for detail in _causes(error.errors()))
        raise UsageError(f"{path}: {problems}.") from error


def _causes(details: Sequence[Any]) -> list[Any]:
    """Without lists that only seem too short, since pydantic left out the items that are wrong."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(
            len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"]
            for place in places
        )
    ]


def _problem(name: str, detail: Any) -> str:
    parts = [str(part) for part in detail["loc"] if part not in KINDS]
    key = ".".join([name, *parts]) if parts else name
    if detail["type"] == "extra_forbidden":
        allowed = _allowed(detail["loc"])
        return f"unknown key {key} (value {detail['input']!r}). Allowed here: {allowed}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    value = repr(detail["input"])
    if len(value) > _LONGEST_VALUE:
        value = f"{value[:_LONGEST_VALUE]}..."
    return f"{key} is {value}: {message[0].lower()}{message[1:]}"


def _allowed(location: tuple[Any, ...]) -> str:
    """The keys that are allowed beside the last one of a pydantic error location."""
    model: type[BaseModel] = DomainParams
    for part in location[:-1]:
        if part in KINDS:
            model = KINDS[part]
        elif isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return ", ".join(key for key in model.model_fields if key != "name")
