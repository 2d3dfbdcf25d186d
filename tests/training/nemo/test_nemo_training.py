"""NeMo's real classes through the trainer: every trap that a LoRA on them was seen to fall into."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from torch.nn.modules.batchnorm import _BatchNorm

from data.tables import read_utterances, write_utterances
from training.base_models import resolve
from training.launch import run_training
from training.lora import train
from training.nemo.archive import read_weights, repack, tensor_digest
from training.nemo.merging import FILE, merge, merged_model
from training.nemo.models import restore
from training.nemo.prepared import NemoRun
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.errors import StageError, UsageError
from voiceforge.files import read_json

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

Spec = Callable[..., TrainingSpec]
KINDS = ["ctc", "rnnt", "hybrid", "canary"]


def outputs(model: Any, run: NemoRun) -> torch.Tensor:
    """The loss of each of three batches: it depends on all that the model computes."""
    with torch.no_grad():
        found = []
        for batch in run.plan[:3]:
            tensors = run.collate([(draw, run.hear(draw)) for draw in batch])
            task = dataclasses.replace(run).task
            task.model = model  # type: ignore[attr-defined]
            mels, lengths = tensors.pop("mels"), tensors.pop("mel_lengths")
            found.append(task.loss(mels, lengths, tensors).float())
    return torch.stack(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_trained_merged_and_restored(kind: str, spec_of: Spec, tmp_path: Path) -> None:
    """Loss falls, the adapter is safetensors, and the merged `.nemo` says what the adapter says."""
    spec = spec_of(kind, steps=15, evaluate_every=15, checkpoint_every=15)
    news: list[TrainingProgress] = []
    report = train(spec, tmp_path / "w", news.append)
    assert report.losses[-1].loss < 0.95 * report.losses[0].loss
    assert [one.step for one in news if one.loss is not None] == [5, 10, 15]
    assert news[0].note.startswith("24 clips, 6 dev clips")
    assert report.dev_scores()[0].utterances == 6
    assert report.versions["nemo_toolkit"].startswith("3.")
    assert TrainingReport.from_dict(read_json(spec.output / "training_report.json")) == report

    adapter = load_file(spec.output / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in adapter)
    assert sum(tensor.numel() for tensor in adapter.values()) == report.trained_parameters
    assert {path.suffix for path in spec.output.iterdir()} == {".json", ".safetensors"}

    run = NemoRun.of(spec)
    plain = outputs(run.base.model, run)
    adapted = PeftModel.from_pretrained(run.base, spec.output).eval()
    with_adapter = outputs(adapted.base_model.model.model, run)
    assert (with_adapter - plain).abs().max() > 1e-2

    digest = merge(spec.base, spec.output, tmp_path / "merged")
    file = tmp_path / "merged" / FILE
    assert digest == tensor_digest(file) != tensor_digest(spec.base)
    assert list(read_weights(file)) == list(read_weights(spec.base))
    restored = restore(file)
    assert not any(isinstance(module, BaseTunerLayer) for module in restored.modules())
    assert not hasattr(restored, "peft_config")
    torch.testing.assert_close(outputs(restored, run), with_adapter, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["ctc", "canary"])
def test_a_merged_file_is_nemos_own(kind: str, spec_of: Spec, tmp_path: Path, corpus: Path) -> None:
    """NeMo restores and transcribes it with its own functions, and so does the next training."""
    spec = spec_of(kind, steps=3)
    train(spec, tmp_path / "w", lambda _: None)
    merge(spec.base, spec.output, tmp_path / "merged")
    file = tmp_path / "merged" / FILE
    cls = type(restore(spec.base))
    model = cls.restore_from(str(file), map_location="cpu").eval()
    paths = [str(path) for path in sorted(corpus.glob("*.flac"))[:2]]
    asked = {"source_lang": "en", "target_lang": "en", "pnc": "yes"} if kind == "canary" else {}
    heard = model.transcribe(paths, verbose=False, num_workers=0, **asked)
    run = NemoRun.of(dataclasses.replace(spec, base=file))
    rows = {row.audio: row for row in read_utterances(spec.utterances)}
    ours = run.transcribe([rows[Path(path).name] for path in paths])
    assert [one.text.strip() for one in heard] == ours
    again = dataclasses.replace(spec, base=file, output=tmp_path / "again")
    assert train(again, tmp_path / "w2", lambda _: None).steps == 3


def test_batch_normalization_stands_still_and_a_reload_changes_nothing(spec_of: Spec) -> None:
    run = NemoRun.of(spec_of("ctc"))
    norms = [module for module in run.base.modules() if isinstance(module, _BatchNorm)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    assert before
    batch = run.collate([(draw, run.hear(draw)) for draw in run.plan[0]])

    def moved() -> bool:
        now = [norm.running_mean for norm in norms if norm.running_mean is not None]
        return any(not torch.equal(one, other) for one, other in zip(before, now, strict=True))

    model = get_peft_model(run.base, _lora())
    model.train()
    model(**batch)["loss"].backward()
    assert not moved()
    run.base.model.train()  # what the trainer would do without us
    model(**batch)
    assert moved()


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=2, target_modules=["linear_q"])


def test_the_saved_adapter_is_the_trained_model_bit_for_bit(
    spec_of: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that training moved is missing from the file."""
    trained: list[Any] = []
    prepared = NemoRun.of

    def keep(spec: TrainingSpec) -> NemoRun:
        trained.append(prepared(spec))
        return trained[-1]

    monkeypatch.setattr(NemoRun, "of", keep)
    spec = spec_of("ctc", steps=6, evaluate_every=6)
    train(spec, tmp_path / "w", lambda _: None)
    monkeypatch.undo()
    run = NemoRun.of(spec)
    trained[0].base.eval()
    there = outputs(trained[0].base.model, run)
    loaded = PeftModel.from_pretrained(NemoRun.of(spec).base, spec.output).eval()
    assert torch.equal(outputs(loaded.base_model.model.model, run), there)


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_with_the_batches_it_would_have_had(
    spec_of: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    hear = NemoRun.hear
    monkeypatch.setattr(
        NemoRun, "hear", lambda run, draw: heard.append(draw.position) or hear(run, draw)
    )
    many = {"steps": 10, "evaluate_every": 5, "checkpoint_every": 5, "trailing_silence": (0.1, 0.5)}
    whole = spec_of("ctc", **many)
    report = train(whole, tmp_path / "whole", lambda _: None)
    assert heard == list(range(40))

    def kill(progress: TrainingProgress) -> None:
        if progress.step == 10:
            raise Killed

    parts = dataclasses.replace(whole, output=tmp_path / "parts")
    with pytest.raises(Killed):
        train(parts, tmp_path / "killed", kill)
    heard.clear()
    again = train(parts, tmp_path / "killed", lambda _: None)
    assert heard == list(range(20, 40))
    assert [point.loss for point in again.losses] == [point.loss for point in report.losses]
    assert again.dev == report.dev
    name = "adapter_model.safetensors"
    assert (parts.output / name).read_bytes() == (whole.output / name).read_bytes()


def test_augmentation_changes_what_a_nemo_model_hears(spec_of: Spec) -> None:
    plain = NemoRun.of(spec_of("ctc"))
    effects = plain.spec.params.augmentation
    on = {
        name: getattr(effects, name).model_copy(update={"probability": 1.0})
        for name in ("noise", "specaugment")
    }
    on["noise"] = on["noise"].model_copy(update={"kinds": ("white",)})
    run = NemoRun.of(spec_of("ctc", augmentation=effects.model_copy(update=on)))
    first, second = (
        one.collate([(draw, one.hear(draw)) for draw in one.plan[0]])["mels"]
        for one in (plain, run)
    )
    assert first.shape == second.shape
    assert not torch.allclose(first, second, atol=0.5)


def test_the_training_process_trains_canary_and_says_nothing_else(
    spec_of: Spec, tmp_path: Path
) -> None:
    """Its standard output is its news alone, whatever NeMo has to say."""
    news: list[TrainingProgress] = []
    report = run_training(spec_of("canary", steps=3), tmp_path / "w", news.append)
    assert "EncDecMultiTaskModel, transcripts as written" in news[0].note
    assert [one.step for one in news if one.dev] == [3]
    assert report.steps == 3


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        ("ctc", {"targets": ("q_proj",)}, r"'q_proj', which is no linear module.*linear_q"),
        ("ctc", {"rank": 65}, r"rank is 65.*'linear_q' .*64 x 64.*from 1 to 64"),
        ("canary", {"targets": ("layer0",)}, r"'layer0', whose weights are those of another"),
        ("tdt", {}, "TDT loss, for which NeMo has no CPU code"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    kind: str, keys: dict[str, Any], says: str, spec_of: Spec, tmp_path: Path
) -> None:
    spec = spec_of(kind, **keys)
    with pytest.raises(UsageError, match=says):
        train(spec, tmp_path / "w", lambda _: None)
    assert not spec.output.exists()


def test_a_language_that_canary_has_no_token_for_is_refused(spec_of: Spec, tmp_path: Path) -> None:
    spec = dataclasses.replace(spec_of("canary"), language="fr")
    with pytest.raises(UsageError, match=r"'fr' is not in the tokenizer.*It has: en, it\."):
        train(spec, tmp_path / "w", lambda _: None)


def test_letters_that_a_ctc_model_cannot_write_are_refused(spec_of: Spec, tmp_path: Path) -> None:
    spec = spec_of("ctc")
    rows = [
        dataclasses.replace(row, text="добрый день") for row in read_utterances(spec.utterances)
    ]
    write_utterances(tmp_path / "ru.parquet", rows)
    spec = dataclasses.replace(spec, utterances=tmp_path / "ru.parquet", language="ru")
    with pytest.raises(UsageError, match=r"can write 0 of 24 train transcripts in 'ru'.*д"):
        train(spec, tmp_path / "w", lambda _: None)


def test_clips_without_room_for_their_texts_are_left_out(spec_of: Spec, tmp_path: Path) -> None:
    spec = spec_of("ctc", steps=1)
    rows = read_utterances(spec.utterances)
    rows[0] = dataclasses.replace(rows[0], text=" ".join([rows[0].text] * 40))
    write_utterances(tmp_path / "long.parquet", rows)
    run = NemoRun.of(dataclasses.replace(spec, utterances=tmp_path / "long.parquet"))
    assert (len(run.clips), run.left_out) == (23, 1)


def test_a_loss_that_is_not_finite_ends_the_run(spec_of: Spec, tmp_path: Path) -> None:
    spec = spec_of("ctc")
    weights = read_weights(spec.base)
    name = next(name for name in weights if name.endswith("linear_q.weight"))
    weights[name] = torch.full_like(weights[name], torch.nan)
    repack(spec.base, weights, tmp_path / "nan.nemo")
    with pytest.raises(StageError, match="step 1"):
        train(dataclasses.replace(spec, base=tmp_path / "nan.nemo"), tmp_path / "w", lambda _: None)
    assert not spec.output.exists()


def test_an_adapter_of_another_model_is_refused(spec_of: Spec, tmp_path: Path) -> None:
    """Layers of its encoder are there, by name and size; those of its decoder are not."""
    spec = spec_of("canary", steps=1)
    train(spec, tmp_path / "w", lambda _: None)
    with pytest.raises(StageError, match=r"query_net.*Train it again on this base model"):
        merged_model(spec_of("ctc").base, spec.output)


def test_a_nemo_file_is_a_base_model_with_the_identity_of_its_weights(
    model: Callable[[str], Path], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(model("canary"), project / "mine.nemo")
    found = resolve(
        "mine.nemo", cache=tmp_path, offline=True, timeout=1.0, start=project, backend="nemo"
    )
    assert found.path == project / "mine.nemo"
    assert found.sha256 == tensor_digest(model("canary"))
    assert (found.multilingual, found.n_mels) == (True, 80)
