"""What the model registry keeps of a run and of a version, and how a version is addressed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voiceforge.errors import UsageError

ENGINE_TAG = "engine_sha256"


@dataclass(frozen=True)
class DatasetRecord:
    """A corpus as MLflow records it: `name`, its DVC content hash, and `dvc://` address."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What MLflow records of how a version came to be.

    Attributes:
        params: parameters by name.
        metrics: final figures by name.
        curves: metrics with steps, such as the loss: name -> pairs (step, value).
        datasets: the corpora it was made from.
        tags: lineage (base model, corpus, adapter, merged model, code version); they mark the
            run and the model version alike.
        training: id of the run that trained the adapter, "" where that was not recorded; the
            version's run stands below it.
    """

    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    datasets: Sequence[DatasetRecord] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    training: str = ""


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model.

    Attributes:
        aliases: such as "champion".
        created_at: milliseconds since the epoch.
    """

    domain: str
    version: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str
    model_id: str
    created_at: int

    @property
    def engine_sha256(self) -> str:
        return self.tags.get(ENGINE_TAG, "")


def parse_address(address: str) -> tuple[str, str]:
    """Domain and alias or version of "models:/DOMAIN@ALIAS" or "models:/DOMAIN/VERSION".

    Raises:
        UsageError: it is neither.
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", address)
    if match is None:
        raise UsageError(
            f"{address!r} names no model version. Write models:/DOMAIN@ALIAS, such as "
            "models:/telephony-en@champion, or models:/DOMAIN/VERSION."
        )
    return match[1], match[2] or match[3]
