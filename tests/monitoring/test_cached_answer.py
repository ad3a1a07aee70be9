from __future__ import annotations

import threading

import pytest

from segmentstream_api.monitoring.cached_answer import CachedAnswer
from tests.fakes import PATIENCE_SECONDS, Clock, Gate, Task, until


class Question:
    """Answers how often it was asked; `gate` holds it up, `error` is raised instead."""

    def __init__(self):
        self.count = 0
        self.gate = None
        self.error = None

    def __call__(self):
        self.count += 1
        if self.gate is not None:
            self.gate.pass_through()
        if self.error is not None:
            raise self.error
        return self.count


@pytest.fixture
def question():
    return Question()


def latest(question, clock=None, patience_seconds=PATIENCE_SECONDS):
    return CachedAnswer(
        question,
        fresh_seconds=5,
        patience_seconds=patience_seconds,
        monotonic=clock or Clock(),
    )


def test_a_fresh_answer_is_given_again_and_an_old_one_is_asked_for_anew(question):
    clock = Clock()
    answers = latest(question, clock)
    assert [answers.get(), answers.get()] == [1, 1]
    clock.advance(4.9)
    assert answers.get() == 1
    clock.advance(0.1)
    assert answers.get() == 2


def test_what_was_raised_is_raised_again_until_it_is_old(question):
    clock = Clock()
    answers = latest(question, clock)
    question.error = ValueError("no")
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            answers.get()
    assert question.count == 1
    question.error = None
    clock.advance(5)
    assert answers.get() == 2


def test_many_that_ask_at_once_ask_once(question):
    question.gate = Gate()
    answers = latest(question)
    tasks = [Task(answers.get) for _ in range(8)]
    question.gate.wait_for_somebody()
    question.gate.open()
    assert [task.result() for task in tasks] == [1] * 8


def test_a_question_that_hangs_is_waited_for_only_so_long_and_asked_by_one_thread(question):
    clock = Clock()
    question.gate = Gate()
    answers = latest(question, clock, patience_seconds=0.01)
    before = threading.active_count()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            answers.get()
        clock.advance(5)  # nobody waits again for what is overdue
    assert question.count == 1
    assert threading.active_count() == before + 1
    question.gate.open()
    until(lambda: threading.active_count() == before)
    assert answers.get() == 1
