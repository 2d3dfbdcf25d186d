"""The losses against a slow reference, what they count, and whom they move."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.clips import IGNORED
from training.distillation import (
    CHOICES,
    BatchLesson,
    Lesson,
    batch_lesson,
    lesson_of,
    state_loss,
    token_loss,
)

VOCABULARY = 150
WIDTH = 6

Doubles = npt.NDArray[np.float64]


def log_softmax(logits: Doubles) -> Doubles:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def full_divergence(teacher: Doubles, student: Doubles, temperature: float) -> float:
    """Kullback-Leibler over the whole vocabulary, in float64."""
    expected, said = log_softmax(teacher / temperature), log_softmax(student / temperature)
    return float((np.exp(expected) * (expected - said)).sum()) * temperature**2


def bucketed_divergence(teacher: Doubles, student: Doubles, temperature: float) -> float:
    """The same over the teacher's likeliest tokens and the rest as one."""
    order = np.argsort(-teacher)
    kept, others = order[:CHOICES], order[CHOICES:]
    p, q = (
        np.append(probs[kept], probs[others].sum())
        for probs in (np.exp(log_softmax(logits / temperature)) for logits in (teacher, student))
    )
    return float((p * np.log(p / q)).sum()) * temperature**2


def missed_variance(teacher: Doubles, student: Doubles) -> float:
    return float(((student - teacher) ** 2).sum() / ((teacher - teacher.mean(0)) ** 2).sum())


def lesson_with(
    states: Doubles, logits: Doubles, labels: list[int], frames: int, temperature: float
) -> Lesson:
    return lesson_of(
        torch.from_numpy(states),
        torch.from_numpy(logits),
        labels,
        frames=frames,
        temperature=temperature,
    )


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    clips=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=4),
    agreeing=st.floats(0.0, 1.0),
    temperature=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
)
def test_tokens_are_compared_as_slowly_where_the_teacher_agrees_and_nowhere_else(
    seed: int, clips: list[tuple[int, int]], agreeing: float, temperature: float
) -> None:
    rng = np.random.default_rng(seed)
    width = max(prompt + length for prompt, length in clips)
    labels = torch.full((len(clips), width), IGNORED)
    student = rng.normal(0, 3, (len(clips), width, VOCABULARY))
    lessons, expected = [], 0.0
    for row, (prompt, length) in enumerate(clips):
        said = rng.normal(0, 3, (length, VOCABULARY))
        text = [int(at.argmax()) if rng.random() < agreeing else int(at.argmin()) for at in said]
        labels[row, prompt : prompt + length] = torch.tensor(text)
        lessons.append(lesson_with(np.zeros((4, WIDTH)), said, text, 0, temperature))
        for at, label in enumerate(text):
            if said[at].argmax() == label:
                own = student[row, prompt + at]
                slow = bucketed_divergence(said[at], own, temperature)
                assert slow <= full_divergence(said[at], own, temperature) + 1e-9
                expected += slow
    count = sum(length for _, length in clips)
    lesson = batch_lesson(lessons, labels, [True] * len(clips))
    got = token_loss(torch.from_numpy(student), labels, lesson, temperature)
    assert float(got) == pytest.approx(expected / count, rel=2e-3, abs=2e-3)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    extra=st.integers(0, 5),
    whole=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_states_are_compared_as_slowly_on_a_clips_own_frames_and_nowhere_else(
    seed: int, frames: list[int], extra: int, whole: list[bool]
) -> None:
    rng = np.random.default_rng(seed)
    whole = whole[: len(frames)]
    states = [rng.normal(0.5, 2, (12, WIDTH)) for _ in frames]
    lessons = [
        lesson_with(seen, rng.normal(0, 3, (1, VOCABULARY)), [1], count, 1.0)
        for seen, count in zip(states, frames, strict=True)
    ]
    student = rng.normal(0, 2, (len(frames), 12 + extra, WIDTH))
    slow = [
        missed_variance(seen[:count], heard[:count]) if count >= 2 and is_whole else 0.0
        for seen, heard, count, is_whole in zip(states, student, frames, whole, strict=True)
    ]
    lesson = batch_lesson(lessons, torch.ones(len(frames), 1, dtype=torch.int64), whole)
    got = state_loss(torch.from_numpy(student), lesson)
    assert float(got) == pytest.approx(np.mean(slow), rel=5e-3, abs=1e-6)


def simple(labels: list[int], frames: int = 4) -> tuple[Lesson, torch.Tensor, torch.Tensor]:
    """A lesson whose teacher finds every label the likeliest, its logits and its states."""
    torch.manual_seed(len(labels))
    logits = torch.randn(len(labels), VOCABULARY)
    logits[range(len(labels)), labels] = 9.0
    states = torch.randn(12, WIDTH)
    return lesson_of(states, logits, labels, frames=frames, temperature=1.0), logits, states


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn() -> None:
    lesson, logits, states = simple([3, 5])
    batch = batch_lesson([lesson], torch.tensor([[3, 5]]), [True])
    assert float(token_loss(logits[None], torch.tensor([[3, 5]]), batch, 1.0)) < 1e-3
    assert float(state_loss(states[None], batch)) < 1e-6
    mean = states[:4].mean(0).expand(1, 12, WIDTH)
    assert float(state_loss(mean, batch)) == pytest.approx(1.0, rel=1e-3)


def test_another_text_than_the_lessons_is_not_taught_tokens() -> None:
    lesson, _, _ = simple([3, 5])
    for labels in ([[3, 6]], [[3, 5, 7]], [[3, IGNORED]]):
        batch = batch_lesson([lesson], torch.tensor(labels), [True])
        assert not batch.taught.any()
        student = torch.zeros(1, len(labels[0]), VOCABULARY, requires_grad=True)
        assert float(token_loss(student, torch.tensor(labels), batch, 1.0)) == 0.0


def test_labels_before_the_text_are_no_part_of_its_lesson() -> None:
    lesson, _, _ = simple([3, 5])
    batch = batch_lesson([lesson], torch.tensor([[8, IGNORED, 3, 5, IGNORED]]), [True])
    assert batch.taught.tolist() == [[False, False, True, True, False]]


def test_a_lesson_without_tokens_or_without_states_teaches_the_other() -> None:
    _, logits, states = simple([3, 5])
    labels = torch.tensor([[3, 5]])
    no_tokens = lesson_of(states, None, [3, 5], frames=4, temperature=1.0)
    no_states = lesson_of(states, logits, [3, 5], frames=0, temperature=1.0)
    batch = batch_lesson([no_tokens], labels, [True])
    assert not batch.taught.any()
    assert float(state_loss(torch.zeros(1, 12, WIDTH), batch)) > 0.1
    batch = batch_lesson([no_states], labels, [True])
    assert batch.taught.all()
    assert float(state_loss(torch.zeros(1, 12, WIDTH), batch)) == 0.0


def test_gradients_reach_only_what_is_taught() -> None:
    lesson, _, _ = simple([3, 5])
    labels = torch.tensor([[IGNORED, 3, 5, IGNORED], [IGNORED, 4, IGNORED, IGNORED]])
    wrong = lesson_of(torch.randn(12, WIDTH), torch.eye(VOCABULARY)[[9]], [4], frames=0,
                      temperature=1.0)  # fmt: skip
    batch = batch_lesson([lesson, wrong], labels, [True, True])
    student = torch.zeros(2, 4, VOCABULARY, requires_grad=True)
    states = torch.zeros(2, 12, WIDTH, requires_grad=True)
    (token_loss(student, labels, batch, 1.0) + state_loss(states, batch)).backward()
    assert student.grad is not None
    assert states.grad is not None
    assert student.grad.abs().sum(-1).gt(0).tolist() == [[False, True, True, False], [False] * 4]
    assert states.grad.abs().sum(-1).gt(0).sum(-1).tolist() == [4, 0]
    assert torch.isfinite(student.grad).all()


def test_a_batch_gives_its_lessons_up_once() -> None:
    lesson, _, _ = simple([3, 5])
    batch = batch_lesson([lesson], torch.tensor([[3, 5]]), [True])
    inputs = {"labels": torch.tensor([[3, 5]]), **batch.tensors()}
    taken = BatchLesson.taken_from(inputs)
    assert taken is not None
    assert set(inputs) == {"labels"}
    assert all(torch.equal(taken.tensors()[name], kept) for name, kept in batch.tensors().items())
    assert BatchLesson.taken_from(inputs) is None


def test_a_vocabulary_without_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves nothing"):
        lesson_of(torch.zeros(4, 2), torch.zeros(1, CHOICES), [0], frames=2, temperature=1.0)
