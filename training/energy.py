"""What a training took in electricity, CO2 and money, as an estimate from its time alone. Pure.

    energy = seconds x (threads x watts of a thread + GPUs x watts of a GPU) x PUE

with every thread and GPU counted as busy from beginning to end: an upper bound for a given power.
Nothing is measured at the plug. Source: Lacoste et al. 2019, "Quantifying the Carbon Emissions of
Machine Learning"; PUE after Patterson et al. 2021, "Carbon Emissions and Large Neural Network
Training".
"""

from __future__ import annotations

from dataclasses import dataclass

from voiceforge.params.energy import EnergyParams

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Energy:
    """An estimate.

    Attributes:
        kwh: electricity, the site's share included.
        grams: of CO2.
        price: of the machine's hours, in the currency of `price_per_hour`; None where none is
            known.
        method: the formula with its numbers.
    """

    kwh: float
    grams: float
    price: float | None
    method: str


def estimate_energy(seconds: float, threads: int, gpus: int, params: EnergyParams) -> Energy:
    """Estimate a training's energy.

    Args:
        seconds: wall time, all attempts together.
        threads: CPU threads that it was given.
        gpus: that it trained on; 0 for none.

    Raises:
        ValueError: negative time, or no thread.
    """
    if seconds < 0 or threads < 1 or gpus < 0:
        raise ValueError(f"No training takes {seconds} s on {threads} threads and {gpus} GPUs.")
    watts = threads * params.cpu_watts + gpus * params.gpu_watts
    kwh = seconds * watts * params.pue / _JOULES_PER_KWH
    parts = [f"{threads} CPU threads x {params.cpu_watts:g} W"]
    parts += [f"{gpus} GPUs x {params.gpu_watts:g} W"] if gpus else []
    method = f"{seconds:,.0f} s x ({' + '.join(parts)}) x PUE {params.pue:g}"
    price = seconds / 3600 * params.price_per_hour if params.price_per_hour else None
    return Energy(kwh, kwh * params.grams_per_kwh, price, method)
