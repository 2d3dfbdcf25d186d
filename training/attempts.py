"""The workspace of a run: checkpoints to continue from, adapters to choose from, what was told.

A checkpoint counts only when its history lies in it, which is written last and holds the sha256 of
every other file: one that a kill, a full disk or a power cut left half is passed over. The run's
fingerprint guards the rest: another spec, corpus or base model starts from nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.tables import UTTERANCES
from training.recipe import (
    REPORT,
    LossPoint,
    Score,
    TrainingReport,
    TrainingSpec,
    best_step,
    has_words,
)
from training.weights import weight_hashes
from voiceforge.errors import StorageError
from voiceforge.files import (
    new_folder,
    read_json,
    remove_leftovers,
    sha256_file,
    sha256_folder,
    sha256_json,
    storage_errors,
    write_json,
)

_FINGERPRINT = "fingerprint.json"
_HISTORY = "history.json"
_ADAPTERS = "adapters"
_BEST = "best"
_FAILURE = "failure.json"
_PREFIX = "checkpoint-"

_KEPT = 2
"""Checkpoints that stay: one more than is needed, should the newest turn out to be damaged."""


@dataclass
class History:
    """What a run has told so far, over all its attempts.

    Attributes:
        recent: losses of the steps since the last point of `losses`.
        gradient_norm: the largest of those steps, before clipping.
    """

    step: int = 0
    seconds: float = 0.0
    losses: list[LossPoint] = field(default_factory=list)
    dev: list[Score] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    gradient_norm: float = 0.0

    def step_done(self, loss: float, gradient_norm: float) -> None:
        """Count one step; both figures are finite."""
        self.recent.append(loss)
        self.gradient_norm = max(self.gradient_norm, gradient_norm)

    def add_point(self, step: int, learning_rate: float) -> LossPoint:
        """A point of the loss curve over the steps since the last, whatever attempts made them."""
        loss = sum(self.recent) / len(self.recent)
        point = LossPoint(step, loss, learning_rate, self.gradient_norm)
        self.losses.append(point)
        self.recent, self.gradient_norm = [], 0.0
        return point


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that went astray.

    Attributes:
        message: what was said about it.
        machine: what computed it; the same computes the same again.
    """

    message: str
    machine: dict[str, str]


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
                for folder in (self.trainer, workspace / _ADAPTERS, workspace / _BEST):
                    shutil.rmtree(folder, ignore_errors=True)
                self.failure_file.unlink(missing_ok=True)
                write_json(mark, fingerprint)
            self.trainer.mkdir(parents=True, exist_ok=True)
        self.remove_halves()

    @property
    def trainer(self) -> Path:
        """Output folder of transformers' trainer."""
        return self._folder / "trainer"

    def remove_halves(self) -> None:
        """Remove checkpoints and adapters that are not whole."""
        for path in self.trainer.iterdir():
            if not _is_whole(path):
                shutil.rmtree(path, ignore_errors=True)
        remove_leftovers(self._folder)

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint; all that stand there are whole."""
        return max(self._checkpoints(), key=_step, default=None)

    def finish_checkpoint(self, history: History) -> None:
        """Declare the checkpoint that the trainer has just written whole, and remove older ones.

        Raises:
            StorageError: the disk did not take it.
        """
        folder = self.trainer / f"{_PREFIX}{history.step}"
        with storage_errors(folder):
            content = {**asdict(history), "files": sha256_folder(folder)}
        write_json(folder / _HISTORY, content)
        finished = sorted(self._checkpoints(), key=_step)
        for old in finished[:-_KEPT]:
            (old / _HISTORY).unlink()  # so that a kill meanwhile leaves none that looks whole
            shutil.rmtree(old, ignore_errors=True)
        self._remove_adapters([self.history(path) for path in finished[-_KEPT:]])

    def history(self, checkpoint: Path) -> History:
        """What the run had told when the checkpoint was made."""
        fields = read_json(checkpoint / _HISTORY)
        return History(
            step=fields["step"],
            seconds=fields["seconds"],
            losses=[LossPoint(**point) for point in fields["losses"]],
            dev=[Score(**score) for score in fields["dev"]],
            recent=fields["recent"],
            gradient_norm=fields["gradient_norm"],
        )

    def save_adapter(self, step: int, model: Any, base_name: str) -> None:
        """Keep the adapter of `step` (PEFT safetensors). `model` is a `PeftModel`."""
        # PEFT would record the folder the base was loaded from, which means nothing elsewhere.
        model.peft_config[model.active_adapter].base_model_name_or_path = base_name
        with new_folder(self._adapter(step)) as folder:
            model.save_pretrained(folder, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)

    def keep_best(self, report: TrainingReport) -> Path:
        """Leave the best adapter with its report, as a finished training would have; its folder."""
        with new_folder(self._folder / _BEST) as folder:
            self.copy_adapter(report.best_step, folder)
            write_json(folder / REPORT, report.as_dict())
        return self._folder / _BEST

    def fail(self, failure: Failure) -> None:
        """Note that the run went astray."""
        write_json(self.failure_file, asdict(failure))

    def failure(self) -> Failure | None:
        """How the run went astray before, if it did."""
        path = self.failure_file
        return Failure(**read_json(path)) if path.is_file() else None

    @property
    def failure_file(self) -> Path:
        return self._folder / _FAILURE

    def copy_adapter(self, step: int, into: Path) -> None:
        """Copy the adapter of `step` into an existing folder."""
        with storage_errors(into):
            shutil.copytree(self._adapter(step), into, dirs_exist_ok=True)

    def _adapter(self, step: int) -> Path:
        return self._folder / _ADAPTERS / str(step)

    def _checkpoints(self) -> list[Path]:
        return [path for path in self.trainer.glob(f"{_PREFIX}*") if (path / _HISTORY).is_file()]

    def _remove_adapters(self, histories: list[History]) -> None:
        """Remove those that no attempt could come to choose: not the best of any checkpoint."""
        wanted = {best_step(history.dev) for history in histories if has_words(history.dev)}
        newest = max(history.step for history in histories)
        for path in (self._folder / _ADAPTERS).glob("[0-9]*"):
            if int(path.name) <= newest and int(path.name) not in wanted:
                shutil.rmtree(path, ignore_errors=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_PREFIX))


def _is_whole(checkpoint: Path) -> bool:
    """Whether the files are those that were declared."""
    mark = checkpoint / _HISTORY
    if not mark.is_file():
        return False
    try:
        declared = read_json(mark)["files"]
    except (StorageError, KeyError):
        return False
    files = sha256_folder(checkpoint)
    del files[_HISTORY]
    return bool(files == declared)


def run_fingerprint(spec: TrainingSpec) -> str:
    """Hash of all that decides a run's outcome; folders and threads do not."""
    return sha256_json(
        {
            "language": spec.language,
            "normaliser": spec.normaliser,
            "params": spec.params.outcome(),
            "utterances": sha256_file(spec.utterances),
            "base": weight_hashes(spec.base),
            **({"replay": sha256_file(spec.replay / UTTERANCES)} if spec.replay else {}),
            **({"terms": spec.drawn_terms} if spec.drawn_terms else {}),
        }
    )
