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


def learnt_from(settings: Settings, name: str, rows: Sequence[Utterance]) -> dict[str, int]:
    """How many of the utterances lie in the train and dev splits of a model's domain.

    The domain's split ledger tells, which never forgets a recording. It knows nothing of a model
    that is no version of a domain, and of recordings that were decoded or cut in another way.

    Args:
        name: full name of the model (`lifecycle.named_models.engine_of`).

    Returns:
        Utterances by split, without splits that have none.

    Raises:
        IntegrityError: the ledger is damaged.
    """
    from data.ledger import FILE, audio_id, read_ledger
    from serving.registry import parse_address

    if not name.startswith(REGISTERED):
        return {}
    domain, _ = parse_address(name)
    ledger = read_ledger(settings.ledgers / domain / FILE)
    if ledger is None:
        return {}
    splits = Counter(ledger.audio.get(audio_id(row.audio_sha256), _UNHEARD) for row in rows)
    return {split: count for split, count in splits.items() if split != _UNHEARD}


def warnings_of(described: Mapping[str, Any]) -> Iterator[str]:
    """What to say of it, a sentence a model.

    Args:
        described: the content of evaluation.json.
    """
    total = described["speech"]["utterances"]
    for model in described["models"].values():
        if found := model.get("learnt_from"):
            places = " and ".join(f"{count:,} in {split}" for split, count in found.items())
            domain = str(model["name"]).removeprefix(REGISTERED).partition("/")[0]
            yield (
                f"{sum(found.values()):,} of the {total:,} utterances are recordings that "
                f"{domain} learns from ({places}): {model['name']} looks better on them than it is."
            )
