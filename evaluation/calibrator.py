"""A calibrator: turns the confidence of a model into the probability that it is right.

It is fitted on held-out speech, is plain data that is stored with the model, and turns no order of
confidences around. From simple to flexible:

- identity: the confidence as it is.
- temperature: sigmoid(logit(p) / T), one number (Guo et al. 2017, here of the two outcomes right
  and wrong: token log-probabilities do not hold the logits of the tokens that were not chosen).
- platt: sigmoid(a logit(p) + b), a at least 0 (Platt 1999).
- isotonic: the non-decreasing steps that fit best (pool adjacent violators; Zadrozny and Elkan
  2002), straight lines between them.

Both sigmoids are fitted to Platt's targets, (right + 1) / (right + 2) and 1 / (wrong + 2), which
keep them finite where confidences part right from wrong entirely; isotonic steps stay within the
same two. The kind is chosen by the log loss of folds that were not fitted on, whole clusters in one
fold: the simplest whose loss is within one standard error of the best (Hastie, Tibshirani and
Friedman 2009, section 7.10; here the error of the difference to the best, over clusters).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from evaluation.cluster_draws import FloatArray
from evaluation.clustered import log_loss
from evaluation.confidence import IntArray, Judged, Level, TokenPooling, pool

Kind = Literal["identity", "temperature", "platt", "isotonic"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""From simple to flexible."""

VERSION = 1
"""Of the stored form."""

_LEAST = 1e-6
"""Confidences are kept this far off 0 and 1, where the logit is infinite."""
_TEMPERATURES = 0.02, 50.0


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A fitted map from confidence to probability, both 0..1.

    Attributes:
        level: what it was fitted on; it means nothing for the other.
        pooling: how tokens' probabilities became the confidence.
        parameters: (T,) of a temperature, (a, b) of Platt's, else ().
        knots: (confidence, probability) of isotonic steps, in order, else ().
        units: utterances or words that it was fitted on.
        errors: how many of them were wrong.
        clusters: independent texts that they come from.
        held_out: mean log loss on folds that were not fitted on, by kind; empty where the kind was
            not chosen but given.
    """

    kind: Kind
    level: Level
    pooling: TokenPooling
    parameters: tuple[float, ...]
    knots: tuple[tuple[float, float], ...]
    units: int
    errors: int
    clusters: int
    held_out: Mapping[str, float]

    def apply(self, confidence: FloatArray | Sequence[float]) -> FloatArray:
        """Probabilities of being right, [n], from confidences, [n] in 0..1.

        Raises:
            ValueError: a confidence is not between 0 and 1.
        """
        values = np.asarray(confidence, dtype=np.float64)
        if not ((values >= 0.0) & (values <= 1.0)).all():
            raise ValueError("A confidence is not between 0 and 1.")
        if self.kind == "identity":
            return values
        if self.kind == "isotonic":
            at, probability = np.asarray(self.knots).T
            return np.asarray(np.interp(values, at, probability), dtype=np.float64)
        slope, intercept = _line(self.kind, self.parameters)
        return _sigmoid(slope * _logit(values) + intercept)

    def probability(self, token_logprobs: Sequence[float]) -> float:
        """The probability that a new utterance, or word, is right; of at least one token."""
        return float(self.apply([pool(token_logprobs, self.pooling)])[0])

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"version": VERSION, **asdict(self), "held_out": dict(self.held_out)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Calibrator:
        """Read `as_dict`'s form, also after JSON.

        Raises:
            ValueError: another version, or not the fields or values of a calibrator.
        """
        if fields.get("version") != VERSION:
            raise ValueError(
                f"The calibrator is of version {fields.get('version')!r}, and this program reads "
                f"{VERSION}. Fit it again."
            )
        try:
            found = cls(
                kind=fields["kind"],
                level=fields["level"],
                pooling=fields["pooling"],
                parameters=tuple(float(value) for value in fields["parameters"]),
                knots=tuple((float(at), float(value)) for at, value in fields["knots"]),
                units=int(fields["units"]),
                errors=int(fields["errors"]),
                clusters=int(fields["clusters"]),
                held_out={str(kind): float(loss) for kind, loss in fields["held_out"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"This is no calibrator: {type(error).__name__} {error}. Fit it again."
            ) from error
        _check(found)
        return found


def fit_calibrator(
    of: Judged,
    level: Level,
    pooling: TokenPooling = "mean",
    *,
    kinds: Sequence[Kind] = KINDS,
    folds: int = 5,
    seed: int,
) -> Calibrator:
    """Choose among kinds of calibrators on held-out folds, and fit the chosen one on everything.

    Args:
        of: utterances or words of speech that the model was not trained on.
        level: which of the two.
        pooling: how their confidences were made.
        kinds: what is chosen from, from simple to flexible.
        folds: parts; fewer where there are fewer clusters.
        seed: of what lies in which fold; the same arguments give the same calibrator.

    Raises:
        ValueError: everything is right, or wrong, or there is a single cluster: nothing tells how
            confidence and correctness go together.
    """
    if not 0 < of.errors < len(of):
        raise ValueError(
            f"Of {len(of)} {level}s {of.errors} are wrong: a calibrator needs some that are right "
            "and some that are wrong. Take more speech, or harder speech."
        )
    labels, cluster = np.unique(of.clusters, return_inverse=True)
    if len(labels) < 2 or folds < 2:
        raise ValueError(
            f"There are {len(labels)} texts and {folds} folds: a calibrator is chosen on texts "
            "that it was not fitted on, and needs at least two of each."
        )
    parts = np.random.default_rng(seed).permutation(np.arange(len(labels)) % folds)[cluster]
    losses = {kind: np.zeros(len(of)) for kind in kinds}
    for part in np.unique(parts):
        held = parts == part
        rest = Judged(of.confidence[~held], of.correct[~held], of.clusters[~held])
        for kind in kinds:
            fitted = fit_kind(kind, rest, level, pooling)
            losses[kind][held] = log_loss(fitted.apply(of.confidence[held]), of.correct[held])
    chosen = fit_kind(_simplest(losses, cluster), of, level, pooling)
    held_out = {str(kind): float(loss.mean()) for kind, loss in losses.items()}
    return replace(chosen, held_out=held_out)


def fit_kind(kind: Kind, of: Judged, level: Level, pooling: TokenPooling = "mean") -> Calibrator:
    """Fit one kind on everything.

    Raises:
        ValueError: an unknown kind, or nothing to fit on.
    """
    if kind not in KINDS or not len(of):
        raise ValueError(f"{kind!r} cannot be fitted on {len(of)} {level}s. Kinds: {KINDS}.")
    parameters: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()
    if kind == "temperature":
        parameters = (_fit_temperature(of),)
    elif kind == "platt":
        parameters = _fit_platt(of)
    elif kind == "isotonic":
        knots = _fit_isotonic(of)
    clusters = len(np.unique(of.clusters))
    return Calibrator(
        kind, level, pooling, parameters, knots, len(of), of.errors, clusters, held_out={}
    )


def _simplest(losses: Mapping[Kind, FloatArray], cluster: IntArray) -> Kind:
    """The first kind whose held-out loss is within one standard error of the best."""
    best = min(losses, key=lambda kind: float(losses[kind].mean()))
    for kind, loss in losses.items():
        excess = loss - losses[best]
        mean = float(excess.mean())
        sums = np.bincount(cluster, weights=excess - mean)
        if mean <= math.sqrt(float(np.sum(sums**2))) / len(loss):
            return kind
    return best


def _fit_temperature(of: Judged) -> float:
    from scipy.optimize import minimize_scalar

    logits, targets = _logit(of.confidence), _targets(of)

    def loss(log_temperature: float) -> float:
        return _cross_entropy(logits / math.exp(log_temperature), targets)

    bounds = math.log(_TEMPERATURES[0]), math.log(_TEMPERATURES[1])
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _fit_platt(of: Judged) -> tuple[float, float]:
    from scipy.optimize import minimize

    logits, targets = _logit(of.confidence), _targets(of)

    def loss(line: FloatArray) -> tuple[float, FloatArray]:
        scores = line[0] * logits + line[1]
        error = _sigmoid(scores) - targets
        slope = np.array([float((error * logits).mean()), float(error.mean())])
        return _cross_entropy(scores, targets), slope

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B",
        bounds=[(0.0, None), (None, None)], options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    return float(found.x[0]), float(found.x[1])


def _fit_isotonic(of: Judged) -> tuple[tuple[float, float], ...]:
    from scipy.optimize import isotonic_regression

    values, place = np.unique(of.confidence, return_inverse=True)
    units = np.bincount(place)
    share = np.bincount(place, weights=of.correct) / units
    steps = isotonic_regression(share, weights=units).x
    wrong = of.errors
    steps = np.clip(steps, 1.0 / (wrong + 2), (len(of) - wrong + 1.0) / (len(of) - wrong + 2))
    # Only the ends of each step: what lies between them is on a straight line anyway.
    inner = (steps == np.roll(steps, 1)) & (steps == np.roll(steps, -1))
    inner[[0, -1]] = False
    return tuple(zip(values[~inner].tolist(), steps[~inner].tolist(), strict=True))


def _targets(of: Judged) -> FloatArray:
    wrong, right = of.errors, len(of) - of.errors
    return np.where(of.correct, (right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0))


def _cross_entropy(scores: FloatArray, targets: FloatArray) -> float:
    return float((np.logaddexp(0.0, scores) - targets * scores).mean())


def _logit(confidence: FloatArray) -> FloatArray:
    kept = np.clip(confidence, _LEAST, 1.0 - _LEAST)
    return np.log(kept) - np.log1p(-kept)


def _sigmoid(scores: FloatArray) -> FloatArray:
    return np.exp(-np.logaddexp(0.0, -scores))


def _line(kind: Kind, parameters: tuple[float, ...]) -> tuple[float, float]:
    return (1.0 / parameters[0], 0.0) if kind == "temperature" else (parameters[0], parameters[1])


def _check(found: Calibrator) -> None:
    wanted = {"temperature": 1, "platt": 2}.get(found.kind, 0)
    at, probability = ([knot[place] for knot in found.knots] for place in (0, 1))
    values = found.parameters
    problems = {
        f"kind {found.kind!r} is not known": found.kind not in KINDS,
        f"level {found.level!r} is not known": found.level not in get_args(Level),
        f"pooling {found.pooling!r} is not known": found.pooling not in get_args(TokenPooling),
        f"{found.kind} has {wanted} parameters": len(values) != wanted,
        "a parameter is not finite": not all(map(math.isfinite, values)),
        "the temperature is not above 0": found.kind == "temperature"
        and min(values, default=1) <= 0,
        "the slope is below 0": found.kind == "platt" and max(values[:1], default=0) < 0,
        "only isotonic steps have knots": (found.kind == "isotonic") != bool(found.knots),
        "the knots do not rise": at != sorted(set(at)) or probability != sorted(probability),
        "a knot is not in 0..1": not all(0.0 <= value <= 1.0 for value in at + probability),
    }
    if wrong := [problem for problem, is_so in problems.items() if is_so]:
        raise ValueError(f"This is no calibrator: {'; '.join(wrong)}. Fit it again.")
