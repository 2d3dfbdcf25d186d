"""How a corpus is divided into what trains, what tunes and what decides."""

from __future__ import annotations

from pydantic import Field, model_validator

from voiceforge.params.base import Positive, Share, Strict


class SplitParams(Strict):
    train: Share = Field(
        description="Share of texts (and of speakers, where they are kept apart) to train on."
    )
    dev: Share = Field(
        description="Share that chooses the best training step and checks the engine."
    )
    test: Share = Field(
        description="Held-out share: every figure and every gate rests on it. The three shares "
        "add up to 1. Changed shares decide about new texts and speakers only: what the split "
        "ledger holds stays."
    )
    minimum_speakers: Positive = Field(
        description="A source with at least this many speakers is also split by speaker; one with "
        "fewer is split by text alone. Speakers that the split ledger holds stay as they are."
    )
    seed: int = Field(
        description="Seed of the hash that decides where new texts and speakers go. It is fixed "
        "once the split ledger `data/ledgers/NAME/splits.csv` is begun: another one is refused, "
        "unless the ledger is deleted to draw the splits anew."
    )

    @model_validator(mode="after")
    def _whole(self) -> SplitParams:
        total = self.train + self.dev + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + dev + test is {total:g}, and must be 1")
        return self
