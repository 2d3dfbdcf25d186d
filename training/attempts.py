"""The workspace of a run: checkpoints to continue from, adapters to choose from, what was told.

A checkpoint counts only when its history lies in it: that file is written last, and whole. The
run's fingerprint guards the rest: another spec, corpus or base model starts from nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.tables import UTTERANCES
from training.recipe import LossPoint, Score, TrainingSpec
from voiceforge.files import (
    new_folder,
    read_json,
    sha256_file,
    sha256_json,
    storage_errors,
    write_json,
)

_FINGERPRINT = "fingerprint.json"
_HISTORY = "history.json"
_ADAPTERS = "adapters"
_PREFIX = "checkpoint-"


@dataclass
class History:
    """What a run has told so far, over all its attempts."""

    step: int = 0
    seconds: float = 0.0
    losses: list[LossPoint] = field(default_factory=list)
    dev: list[Score] = field(default_factory=list)


class Attempts:
    """Attempts at one run; the same workspace may serve many of them, one at a time.

    Args:
        workspace: the folder; what another run left in it is discarded.
        spec: the run.
    """

    def __init__(self, workspace: Path, spec: TrainingSpec) -> None:
        self._folder = workspace
        fingerprint = {"sha256": run_fingerprint(spec)}
        mark = workspace / _FINGERPRINT
        with storage_errors(workspace):
            if not mark.is_file() or read_json(mark) != fingerprint:
                for folder in (self.trainer, workspace / _ADAPTERS):
                    shutil.rmtree(folder, ignore_errors=True)
                write_json(mark, fingerprint)
            self.trainer.mkdir(parents=True, exist_ok=True)
        for path in self.trainer.iterdir():
            if not (path / _HISTORY).is_file():
                shutil.rmtree(path, ignore_errors=True)

    @property
    def trainer(self) -> Path:
        """Output folder of transformers' trainer."""
        return self._folder / "trainer"

    def last_checkpoint(self) -> Path | None:
        """The newest whole checkpoint."""
        found = list(self.trainer.glob(f"{_PREFIX}*"))
        return max(found, key=lambda path: int(path.name.removeprefix(_PREFIX)), default=None)

    def finish_checkpoint(self, history: History) -> None:
        """Declare the checkpoint that the trainer has just written whole."""
        write_json(self.trainer / f"{_PREFIX}{history.step}" / _HISTORY, asdict(history))

    def history(self, checkpoint: Path) -> History:
        """What the run had told when the checkpoint was made."""
        fields = read_json(checkpoint / _HISTORY)
        return History(
            step=fields["step"],
            seconds=fields["seconds"],
            losses=[LossPoint(**point) for point in fields["losses"]],
            dev=[Score(**score) for score in fields["dev"]],
        )

    def save_adapter(self, step: int, model: Any, base_name: str) -> None:
        """Keep the adapter of `step` (PEFT safetensors). `model` is a `PeftModel`."""
        # PEFT would record the folder the base was loaded from, which means nothing elsewhere.
        model.peft_config[model.active_adapter].base_model_name_or_path = base_name
        with new_folder(self._adapter(step)) as folder:
            model.save_pretrained(folder, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)

    def copy_adapter(self, step: int, into: Path) -> None:
        """Copy the adapter of `step` into an existing folder."""
        with storage_errors(into):
            shutil.copytree(self._adapter(step), into, dirs_exist_ok=True)

    def _adapter(self, step: int) -> Path:
        return self._folder / _ADAPTERS / str(step)


def run_fingerprint(spec: TrainingSpec) -> str:
    """Hash of all that decides a run's outcome; folders and threads do not."""
    weights = sorted(spec.base.glob("*.safetensors"))
    return sha256_json(
        {
            "language": spec.language,
            "normaliser": spec.normaliser,
            "params": spec.params.outcome(),
            "utterances": sha256_file(spec.utterances),
            "base": {path.name: sha256_file(path) for path in weights},
            **({"replay": sha256_file(spec.replay / UTTERANCES)} if spec.replay else {}),
        }
    )
