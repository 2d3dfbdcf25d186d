"""Whether a model may have been trained on the recordings that it is evaluated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifecycle.named_models import REGISTERED
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from data.utterance import Utterance

_UNHEARD = "test"


def domain_of(name: str) -> str:
    """The domain that a model is a version of; "" for another model.

    Args:
        name: full name (`lifecycle.named_models.engine_of`).
    """
    from serving.registry import parse_address

    return parse_address(name)[0] if name.startswith(REGISTERED) else ""


def learnt_from(settings: Settings, domain: str, rows: Sequence[Utterance]) -> dict[str, Any]:
    """How many of the utterances lie in the train and dev splits of a model's domain.

    The domain's split ledger tells, which never forgets a recording. It knows nothing of recordings
    that were decoded or cut in another way.

    Args:
        domain: "" for a model of none.

    Returns:
        `domain`, number of `utterances`, and `splits`, utterances by split; empty where none of
        them is in one.

    Raises:
        IntegrityError: the ledger is damaged.
    """
    from data.ledger import FILE, audio_id, read_ledger

    ledger = read_ledger(settings.ledgers / domain / FILE) if domain else None
    if ledger is None:
        return {}
    splits = Counter(ledger.audio.get(audio_id(row.audio_sha256), _UNHEARD) for row in rows)
    del splits[_UNHEARD]
    return {"domain": domain, "utterances": len(rows), "splits": dict(splits)} if splits else {}


def warnings_of(described: Mapping[str, Any]) -> Iterator[str]:
    """What to say of it, a sentence a model.

    Args:
        described: the content of evaluation.json.
    """
    for model in described["models"].values():
        if found := model.get("learnt_from"):
            splits = found["splits"]
            places = " and ".join(f"{count:,} in {split}" for split, count in splits.items())
            yield (
                f"{sum(splits.values()):,} of the {found['utterances']:,} utterances are "
                f"recordings that {found['domain']} learns from ({places}): {model['name']} may "
                "look better on them than it is."
            )
