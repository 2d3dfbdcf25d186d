"""Which of several engines of one model serves, and why: the fastest that passed its check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.estimate import Estimate

EQUALLY_FAST = 1.05
"""Times the least seconds a clip: medians of one engine, timed twice, differ by as much."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An engine that was built and checked against the float32 model, or why it was not.

    Attributes:
        name: KIND:PRECISION.
        unavailable: why this machine cannot run it; "" where it can. The rest is then empty.
        passed: whether the check lets it go on.
        word_error_rate: on the check clips, a fraction.
        loss: word error rate minus the float32 model's, paired, a fraction.
        seconds: median of a clip alone.
        audio_per_second: seconds of audio a second, in batches.
        size: bytes of its folder.
    """

    name: str
    unavailable: str = ""
    passed: bool = False
    word_error_rate: Estimate | None = None
    loss: Estimate | None = None
    seconds: float = 0.0
    audio_per_second: float = 0.0
    size: int = 0

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Checked:
        """Of `dataclasses.asdict`."""
        values = dict(fields)
        for name in ("word_error_rate", "loss"):
            if values.get(name) is not None:
                values[name] = Estimate.from_dict(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that goes on to the tests, and serves if they let it.

    Attributes:
        chosen: its name.
        reason: a sentence for people.
        engines: all that were looked at, in the order of params.yaml.
    """

    chosen: str
    reason: str
    engines: tuple[Checked, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Choice:
        return cls(
            fields["chosen"],
            fields["reason"],
            tuple(Checked.from_dict(one) for one in fields["engines"]),
        )


def allowed(loss: Estimate, margin: float) -> str:
    """Whether an engine's loss is allowed: non-inferiority by the interval of a paired difference.

    Args:
        loss: word error rate minus the float32 model's, a fraction.
        margin: points of word error rate that it may lose.

    Returns:
        "passed" where the whole interval lies at or below the margin, "rejected" where all of it
        lies above, else "cannot tell"; with what that means.
    """
    if 100 * loss.high <= margin:
        return f"passed: a loss of more than {margin:g} points is excluded"
    if 100 * loss.low > margin:
        return f"rejected: it surely loses more than {margin:g} points"
    return (
        f"cannot tell: neither a loss of more than {margin:g} points nor a smaller one is excluded "
        f"by {loss.words:,} words"
    )


def choose(engines: Sequence[Checked]) -> Choice:
    """The engine with the least seconds a clip among those that can run and passed; of equally fast
    ones the first.

    Where none passed, the first that can run is named, for its check to stop the run.

    Args:
        engines: in order of preference.

    Raises:
        ValueError: none can run.
    """
    able = [one for one in engines if not one.unavailable]
    if not able:
        raise ValueError("no engine can run on this machine")
    passed = [one for one in able if one.passed]
    if not passed:
        names = ", ".join(one.name for one in able)
        return Choice(able[0].name, f"None of {names} passed its check.", tuple(engines))
    least = min(one.seconds for one in passed)
    best = next(one for one in passed if one.seconds <= EQUALLY_FAST * least)
    said = [f"{best.name} was chosen: {_pace(best)}"]
    others = [f"{one.name} {_pace(one)}" for one in passed if one is not best]
    if others and best.seconds > least:
        said.append(f", the first of those that are equally fast ({', '.join(others)})")
    elif others:
        said.append(f", the fastest that passed ({', '.join(others)})")
    else:
        said.append(", the only one that passed" if len(engines) > 1 else "")
    failed = [one.name for one in able if not one.passed]
    gone = [f"{one.name}: {one.unavailable}" for one in engines if one.unavailable]
    said.append(f"; {', '.join(failed)} did not pass" if failed else "")
    said.append(f"; not available here: {'; '.join(gone)}" if gone else "")
    return Choice(best.name, f"{''.join(said)}.", tuple(engines))


def _pace(one: Checked) -> str:
    return f"{1000 * one.seconds:.0f} ms a clip"
