"""A FastConformer CTC model hears more of real speech after its LoRA fine-tuning than before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data.tables import write_utterances
from tests.training.conftest import in_dev, without_replay, write_prompts
from tests.training.nemo import tiny
from training.lora import train
from training.nemo.archive import repack
from training.nemo.prepared import NemoRun
from training.recipe import TrainingSpec
from training.scoring import score
from voiceforge.params import domain_params

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

LINEAR = ("linear_q", "linear_k", "linear_v", "linear_out", "linear_pos", "linear1", "linear2",
          "out")  # fmt: skip


def test_word_error_rate_falls_on_real_prompts(cache: Path, project: Path, tmp_path: Path) -> None:
    """40 prompts, 71 s. Measured: 300 steps take it from 98% to 66% of 166 words."""
    rows = write_prompts(tmp_path, cache, clips=40, seconds=(0.5, 2.5), every=400)
    write_utterances(tmp_path / "u.parquet", [*rows, *(in_dev(row) for row in rows)])
    params = without_replay(domain_params(project / "params.yaml", "telephony-en").training)
    params = params.model_copy(
        update={
            "backend": "nemo",
            "steps": 300,
            "evaluate_every": 60,
            "checkpoint_every": 1000,
            "learning_rate": 0.006,
            "rank": 48,
            "alpha": 96,
            "targets": LINEAR,
            "trailing_silence": (0.0, 0.0),
        }
    )

    def spec(base: Path) -> TrainingSpec:
        return TrainingSpec.from_params(
            params,
            language="en",
            normaliser="whisper-english",
            base=base,
            corpus=tmp_path,
            utterances=tmp_path / "u.parquet",
            output=tmp_path / "adapter",
            threads=1,
        )

    random = tiny.build("ctc", [row.text for row in rows], tmp_path / "model")
    base = learn_a_little(NemoRun.of(spec(random)), random, tmp_path / "base.nemo")
    prepared = NemoRun.of(spec(base))
    before = score(0, prepared.dev, prepared.transcribe(prepared.dev), prepared.spec)[0]
    report = train(spec(base), tmp_path / "w", lambda _: None)
    after = report.dev_scores()[0]
    assert after.words == before.words > 150
    assert after.rate < before.rate - 0.15, (before, after)
    losses = [point.loss for point in report.losses]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])  # a batch's loss grows with its clips


def learn_a_little(run: NemoRun, random: Path, out: Path) -> Path:
    """A base model: LoRA cannot make one of random weights. All of them learn, for 80 steps."""
    torch.manual_seed(1)
    run.base.model.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(run.base.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=80)
    for batch in run.plan[:80]:
        run.base.model.train()
        optimizer.zero_grad()
        run.base(**run.collate([(draw, run.hear(draw)) for draw in batch]))["loss"].backward()
        torch.nn.utils.clip_grad_norm_(run.base.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    repack(random, run.base.model.state_dict(), out)
    return out
