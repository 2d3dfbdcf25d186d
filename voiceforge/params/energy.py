"""What a training's electricity is estimated from; `training.energy` says how."""

from __future__ import annotations

from pydantic import Field

from voiceforge.params.base import Strict


class EnergyParams(Strict):
    """Of the machine and its place. Model cards state them beside the estimate."""

    cpu_watts: float = Field(
        default=10.0, gt=0.0, description="Watts of one busy CPU thread, its share of memory in it."
    )
    gpu_watts: float = Field(default=400.0, gt=0.0, description="Watts of one busy GPU.")
    pue: float = Field(
        default=1.5,
        ge=1.0,
        description="Power usage effectiveness: what the whole site draws for each watt of the "
        "machine, cooling in it.",
    )
    grams_per_kwh: float = Field(
        default=480.0, ge=0.0, description="Grams of CO2 for a kWh where the machine stands."
    )
    price_per_hour: float = Field(
        default=0.0, ge=0.0, description="Price of an hour of the machine; 0 leaves cost out."
    )
