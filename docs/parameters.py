"""Writes docs/parameters.md: types, ranges, defaults and meanings from the code.

Run it as `python docs/parameters.py`; a test checks that the page is what it writes and that every
key has a meaning.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from voiceforge.params import DOMAIN_NAME, KINDS, DomainParams, GateParams, Source
from voiceforge.settings import _KNOWN as VARIABLES

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "parameters.md"

Key = tuple[str, FieldInfo]

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
    parts.append(_table(_leaves(DomainParams, skip=("name", "sources")), defaults))
    parts.append("## Sources\n\n`sources` is a list of entries of these kinds.\n")
    for kind, model in KINDS.items():
        title = " ".join(str(model.__doc__).split())
        parts.append(f"### `kind: {kind}`\n\n{title}\n")
        parts.append(_table(sorted(_leaves(model), key=lambda leaf: leaf[0] != "kind"), None))
    parts.append(_VARIABLES_HEAD)
    rows = [
        ("`" + name + "`", what[0].upper() + what[1:] + ".") for name, what in VARIABLES.items()
    ]
    parts.append(_markdown(("variable", "meaning, unit, range, default"), rows))
    return "\n".join(parts)


def _table(keys: Iterable[Key], defaults: Mapping[str, Any] | None) -> str:
    """One row a key.

    Raises:
        ValueError: a key has no meaning.
    """
    rows = []
    for path, field in keys:
        if not field.description:
            raise ValueError(f"{path} has no description")
        default = _default(path, field, defaults)
        rows.append((f"`{path}`", field.description, _allowed(field), default))
    return _markdown(("key", "meaning", "allowed", "default"), rows)


def _leaves(model: type[BaseModel], prefix: str = "", skip: Sequence[str] = ()) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name in skip:
            continue
        if isinstance(inner, type) and issubclass(inner, GateParams):
            yield from _gate(f"{prefix}{name}", field)
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _gate(path: str, gate: FieldInfo) -> Iterator[Key]:
    """The keys of a gate, whose own description says what it looks at."""
    meanings = {
        "kind": f"The gate on {gate.description}.",
        "margin": "Its margin, in points of word error rate; 0 for superiority.",
    }
    for name, field in GateParams.model_fields.items():
        described = copy.copy(field)
        described.description = meanings[name]
        yield f"{path}.{name}", described


def _default(path: str, field: FieldInfo, defaults: Mapping[str, Any] | None) -> str:
    if defaults is None:
        if field.is_required():
            return "needed"
        return "none" if field.default is None else _shown(field.default)
    value: Any = defaults
    for part in path.split("."):
        value = value[part]
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    several = isinstance(value, list | tuple)
    return f"`[{', '.join(map(str, value))}]`" if several else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    return _described(field.annotation, field.metadata)


def _described(annotation: Any, metadata: Sequence[Any]) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return _described(next(one for one in inner if one is not type(None)), metadata)
    if origin is Annotated:
        return _described(inner[0], inner[1:])
    if origin is tuple:
        if inner[-1] is Ellipsis:
            if inner[0] is Source:
                return "list of [sources](#sources)"
            of = f" out of {_described(inner[0], ())}" if get_origin(inner[0]) is Literal else ""
            return f"list of names{of}" + (", not empty" if _bound(metadata, "min_length") else "")
        return next(one.func.allowed for one in metadata if isinstance(one, AfterValidator))
    if pattern := _bound(metadata, "pattern"):
        return f"`{pattern}`"
    if annotation is str:
        return "text"
    if annotation is bool:
        return "`true`, `false`"
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
