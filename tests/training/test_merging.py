"""A merged model says what base and adapter say together, and stands alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from data.audio import read_flac
from data.tables import read_utterances
from training.backends import prepare
from training.base_models import resolve, tensor_digest
from training.clips import make_mels
from training.context import load_model
from training.lora import train
from training.merging import merge
from training.recipe import TrainingSpec
from training.scoring import score
from voiceforge.errors import StageError
from voiceforge.files import read_json


def trained(spec: TrainingSpec, tmp_path: Path, **kind: Any) -> Path:
    """A few steps at a high rate, so that the adapter says something of its own."""
    high = {"steps": 4, "learning_rate": 3e-3, "warmup": 0.0}
    params = spec.params.model_copy(update=high | kind)
    train(dataclasses.replace(spec, params=params), tmp_path / "workspace", lambda _: None)
    return spec.output


@pytest.fixture()
def adapter(spec: TrainingSpec, tmp_path: Path) -> Path:
    return trained(spec, tmp_path)


KINDS: list[dict[str, Any]] = [
    {},
    {"rslora": True, "targets": ("all-linear",)},
    {"dora": True, "dropout": 0.1},
]


@pytest.mark.parametrize("kind", KINDS, ids=["lora", "rslora", "dora"])
def test_merged_logits_are_the_adapters(
    spec: TrainingSpec, kind: dict[str, Any], tiny_en: Path, prompts_corpus: Path, tmp_path: Path
) -> None:
    adapter = trained(spec, tmp_path, **kind)
    merged = tmp_path / "merged"
    digest = merge(tiny_en, adapter, merged)

    rows = read_utterances(prompts_corpus / "utterances.parquet")[:3]
    clips = [read_flac(prompts_corpus / row.audio) for row in rows]
    mels = torch.from_numpy(make_mels(clips, 460, 80))
    tokens = torch.tensor([[50257, 50362, 770, 318, 257, 1332]] * 3)

    def logits(model: torch.nn.Module) -> torch.Tensor:
        with torch.no_grad():
            return model(input_features=mels, decoder_input_ids=tokens).logits  # type: ignore[no-any-return]

    plain = logits(load_model(tiny_en))
    adapted = logits(PeftModel.from_pretrained(load_model(tiny_en), adapter).eval())
    together = logits(load_model(merged))
    assert (adapted - plain).abs().max() > 0.1
    torch.testing.assert_close(together, adapted, rtol=0, atol=1e-4)

    assert digest == tensor_digest(merged) != tensor_digest(tiny_en)
    described = read_json(merged / "voiceforge.json")
    report = read_json(adapter / "training_report.json")
    assert described["minimum_mel_frames"] == report["minimum_mel_frames"]
    assert described["trailing_silence"] == report["trailing_silence"]


def test_an_adapter_of_half_the_weight_gives_the_model_half_way(
    spec: TrainingSpec, tiny_en: Path, tmp_path: Path
) -> None:
    found, losses = {}, []
    for weight in (1.0, 0.5):
        own = dataclasses.replace(spec, output=tmp_path / f"adapter-{weight}")
        adapter = trained(own, tmp_path / f"of-{weight}", adapter_weight=weight)
        merge(tiny_en, adapter, tmp_path / f"merged-{weight}")
        found[weight] = load_model(tmp_path / f"merged-{weight}").state_dict()
        losses.append(read_json(adapter / "training_report.json")["losses"])
    assert losses[0] == losses[1]  # it is learnt as before
    moved = 0
    for name, base in load_model(tiny_en).state_dict().items():
        half_way = base + 0.5 * (found[1.0][name] - base)
        torch.testing.assert_close(found[0.5][name], half_way, rtol=0, atol=1e-6)
        moved += not torch.equal(base, half_way)
    assert moved > 10


def test_dev_errors_are_of_the_weighed_model(
    spec: TrainingSpec, tiny_en: Path, tmp_path: Path
) -> None:
    """At next to no weight what is heard on dev is what the base model says there."""
    run = prepare(spec)
    base = score(0, run.dev, run.transcribe(run.dev), spec)[0]
    adapter = trained(spec, tmp_path, learning_rate=0.1, adapter_weight=1e-6, evaluate_every=4)
    dev = read_json(adapter / "training_report.json")["dev"][0]
    assert (dev["errors"], dev["words"]) == (base.errors, base.words)
    adapter = trained(spec, tmp_path, learning_rate=0.1, evaluate_every=4)
    assert read_json(adapter / "training_report.json")["dev"][0]["errors"] != base.errors


def test_a_merged_model_loads_with_plain_transformers(
    adapter: Path, tiny_en: Path, tmp_path: Path
) -> None:
    merged = tmp_path / "merged"
    merge(tiny_en, adapter, merged)
    model = WhisperForConditionalGeneration.from_pretrained(merged, local_files_only=True)
    processor = WhisperProcessor.from_pretrained(merged, local_files_only=True)
    assert model.config.architectures == ["WhisperForConditionalGeneration"]
    assert model.generation_config.suppress_tokens
    assert processor.tokenizer.decode(processor.tokenizer.encode(" Hello")[2:-1]) == " Hello"
    with (
        safe_open(tiny_en / "model.safetensors", "pt") as before,
        safe_open(merged / "model.safetensors", "pt") as after,
    ):
        assert set(before.keys()) == set(after.keys())
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in merged.iterdir())


def test_an_adapter_of_another_base_is_refused(adapter: Path, cache: Path, tmp_path: Path) -> None:
    other = resolve("whisper-base", cache=cache, offline=False, timeout=30.0).path
    with pytest.raises(StageError, match="Train it again on this base model"):
        merge(other, adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
