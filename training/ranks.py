"""Several processes that train one model: which one this is, and what all of them agree on.

Each step's planned batch is dealt out to the processes, so that the plan, and with it the outcome,
does not depend on how many there are. They are started by torchrun (`training.launch` does it for
one machine) and found through its environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from training.clips import Draw, batch_frames
from voiceforge.errors import UsageError

_PATIENCE = timedelta(hours=2)
"""How long the others wait while the first evaluates on dev. One that died is noticed at once."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: its number; the first, 0, alone evaluates, writes and tells.
        size: how many there are.
        on_machine: how many of them share this machine.
    """

    rank: int = 0
    size: int = 1
    on_machine: int = 1

    @classmethod
    def join(cls, device: str) -> Ranks:
        """Meet the others that torchrun has started; alone without it.

        Args:
            device: "cpu" or "cuda"; decides what carries the gradients, gloo or NCCL.

        Raises:
            UsageError: there are more of them on this machine than CUDA devices.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        on_machine = int(os.environ.get("LOCAL_WORLD_SIZE", str(size)))
        if device == "cuda" and on_machine > (found := torch.cuda.device_count()):
            raise UsageError(
                f"VOICEFORGE_PROCESSES is {on_machine}, and there are {found} CUDA devices here; "
                f"each process has one of its own. Set it to {found} at most."
            )
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=_PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size(), on_machine)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def total(self, value: float) -> float:
        """The sum of every process's value, the same in all of them. All must call it."""
        if self.size == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(summed)
        return float(summed)

    def wait(self) -> None:
        """Until every process has come here."""
        self.total(0.0)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The block is run by the first process, then by the others."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def leave(self) -> None:
        """Part from the others in good order."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def deal(
    plan: Sequence[Sequence[Draw]], durations: Sequence[float], ranks: Ranks
) -> list[list[Draw]]:
    """What this process takes of every batch: each `ranks.size`-th draw.

    Mels are as wide as the whole batch needs, since padding is heard: the processes together
    compute what one would.

    Args:
        plan: every batch of the run.
        durations: seconds of every clip.

    Raises:
        UsageError: a batch has fewer clips than there are processes.
    """
    smallest = min(len(batch) for batch in plan)
    if smallest < ranks.size:
        raise UsageError(
            f"training.batch_size is {smallest}, and {ranks.size} processes share each batch. "
            "Raise it in params.yaml, or lower VOICEFORGE_PROCESSES."
        )
    if ranks.size == 1:
        return [list(batch) for batch in plan]
    return [
        [draw._replace(least_frames=frames) for draw in batch[ranks.rank :: ranks.size]]
        for batch, frames in ((batch, batch_frames(batch, durations)) for batch in plan)
    ]
