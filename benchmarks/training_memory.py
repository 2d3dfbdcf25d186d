"""Memory and speed of training a whisper-small, whose weights the package registries do not have.

Neither depends on what the weights are, so that a model of whisper-small's shape with random ones
stands for it: 12 + 12 layers, 768 wide (OpenAI's model card). Each training is a process of its own
with the domain's recipe; the clips are the domain's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.record import Row
from lifecycle import replay
from lifecycle.adapter import training_spec
from lifecycle.base_model import base_model
from lifecycle.workspace import Workspace
from training.launch import run_training
from training.recipe import TrainingProgress
from voiceforge.errors import UsageError

_SHAPE = {
    "d_model": 768,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
}


def measure(workspace: Workspace, steps: int) -> Iterator[Row]:
    """Peak memory of training with and without gradient checkpointing.

    Raises:
        UsageError: the domain's base model has no multilingual tokenizer to lend.
    """
    base = base_model(workspace)
    if not base.multilingual:
        raise UsageError("whisper-small is multilingual: name a domain whose base model is so.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = _write_small(base.path, folder / "small")
        for checkpointing in (False, True):
            told: list[TrainingProgress] = []
            params = workspace.domain.training.model_copy(
                update={
                    "steps": steps, "evaluate_every": steps, "checkpoint_every": steps,
                    "dev_utterances": 1, "gradient_checkpointing": checkpointing,
                }
            )  # fmt: skip
            scratch = folder / f"scratch-{checkpointing}"
            scratch.mkdir()
            changed = workspace.trained_with(params)
            general = replay.make_replay(changed)
            spec = training_spec(changed, general, scratch / "adapter", base=folder / "small")
            report = run_training(spec, scratch, told.append)
            how = "with" if checkpointing else "without"
            rests_on = (
                f"{steps} steps of {params.batch_size} clips of up to {params.maximum_seconds:g} s,"
                f" rank {params.rank}, {parameters / 1e6:.0f} million parameters, random, "
                f"{report.precision} on {report.device}, {report.threads} threads"
            )
            memory = f"{report.peak_memory_bytes / 1e9:.2f} GB"
            yield Row(f"whisper-small, {how} gradient checkpointing: memory", memory, rests_on)
            speed = [one.audio_seconds_per_second for one in told if one.audio_seconds_per_second]
            if speed:
                yield Row("  speech trained on a second", f"{speed[-1]:.2f} s", rests_on)


def _write_small(base: Path, folder: Path) -> int:
    """A model of whisper-small's shape with the tokenizer of another; its number of parameters."""
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    folder.mkdir()
    for file in base.iterdir():
        if file.suffix in (".json", ".txt"):
            shutil.copy(file, folder)
    config = WhisperConfig.from_pretrained(base, local_files_only=True, **_SHAPE)
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig.from_pretrained(base, local_files_only=True)
    model.save_pretrained(folder)
    return sum(one.numel() for one in model.parameters())
