"""The estimate of a training's energy, against the sum done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.energy import estimate_energy
from voiceforge.params import EnergyParams

PARAMS = EnergyParams(cpu_watts=10, gpu_watts=400, pue=1.5, grams_per_kwh=480, price_per_hour=2.0)


def test_an_hour_on_two_threads_and_a_gpu() -> None:
    made = estimate_energy(3600.0, 2, 1, PARAMS)
    assert made.kwh == pytest.approx(0.42 * 1.5)
    assert made.grams == pytest.approx(0.63 * 480)
    assert made.price == pytest.approx(2.0)
    assert made.method == "3,600 s x (2 CPU threads x 10 W + 1 GPUs x 400 W) x PUE 1.5"
    assert estimate_energy(3600.0, 2, 0, EnergyParams()).price is None


@given(st.floats(0, 1e6), st.integers(1, 64), st.integers(0, 8))
def test_energy_grows_with_time_and_machine(seconds: float, threads: int, gpus: int) -> None:
    made = estimate_energy(seconds, threads, gpus, PARAMS)
    assert estimate_energy(2 * seconds, threads, gpus, PARAMS).kwh == pytest.approx(2 * made.kwh)
    assert estimate_energy(seconds, threads + 1, gpus, PARAMS).kwh >= made.kwh


def test_impossible_trainings_are_errors() -> None:
    for seconds, threads, gpus in ((-1.0, 1, 0), (1.0, 0, 0), (1.0, 1, -1)):
        with pytest.raises(ValueError, match="No training takes"):
            estimate_energy(seconds, threads, gpus, PARAMS)
