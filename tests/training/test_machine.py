"""The device: CUDA where there is some, as asked otherwise, never another one silently."""

from __future__ import annotations

import pytest
import torch

from training.machine import choose_device
from voiceforge.errors import UsageError


def test_the_cpu_has_the_precision_that_its_instructions_make_fast() -> None:
    device = choose_device("cpu")
    able = torch.cpu.get_capabilities()
    fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    assert (device.kind, device.precision) == ("cpu", "bfloat16" if fast else "float32")
    assert "no CUDA" not in device.why


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bfloat16"), (False, "float16")])
def test_cuda_is_taken_where_there_is_some(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, precision: str
) -> None:
    """What torch answers is made up: the choice is tested, no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    for asked in ("auto", "cuda"):
        device = choose_device(asked)
        assert (device.kind, device.precision) == ("cuda", precision)
        assert "Some GPU" in device.why
    assert choose_device("cpu").kind == "cpu"


def test_cuda_that_is_not_there_is_refused_and_auto_says_why_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"VOICEFORGE_DEVICE is 'cuda'.*no CUDA device"):
        choose_device("cuda")
    assert "on the CPU since there is no CUDA device" in choose_device("auto").why
