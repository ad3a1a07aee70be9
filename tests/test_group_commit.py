from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from segmentstream_api.group_commit import GroupCommit

from .fakes import PATIENCE_SECONDS, Gate, Task


class Interrupted(BaseException):
    pass


class Journal:
    """A commit that doubles, remembers its batches and can be held up or made to fail."""

    def __init__(self):
        self.batches = []
        self.gates = {}
        self.errors = {}

    def __call__(self, items):
        self.batches.append(list(items))
        for item in items:
            if item in self.gates:
                self.gates[item].pass_through()
        for item in items:
            if item in self.errors:
                raise self.errors[item]
        return [2 * item for item in items]

    def hold(self, item):
        self.gates[item] = Gate()
        return self.gates[item]


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def group(journal):
    return GroupCommit(journal, batch_size=100)


def wait_until_waiting(group, count):
    """Until so many items queue; nothing that is public tells, since nobody needs to know."""
    queue = vars(group)["_waiting"]
    for _ in range(int(PATIENCE_SECONDS / 0.001)):
        if len(queue) == count:
            return
        threading.Event().wait(0.001)
    pytest.fail(f"{len(queue)} items queue instead of {count}")


def queue(group, *items):
    """A task for each item; they queue in this order."""
    tasks = []
    before = len(vars(group)["_waiting"])
    for count, item in enumerate(items, 1):
        tasks.append(Task(group.submit, item))
        wait_until_waiting(group, before + count)
    return tasks


def start_held(group, journal, item=0):
    """A task whose commit has begun and is held up, and the gate that ends it."""
    gate = journal.hold(item)
    task = Task(group.submit, item)
    gate.wait_for_somebody()
    return task, gate


class TestSubmitting:
    def test_one_alone_is_committed_at_once(self, group, journal):
        assert group.submit(4) == 8
        assert journal.batches == [[4]]

    def test_everybodys_result_is_his_own(self, group):
        with ThreadPoolExecutor(16) as threads:
            results = list(threads.map(group.submit, range(2000)))
        assert results == [2 * item for item in range(2000)]

    def test_what_arrives_during_a_commit_shares_the_next_one(self, group, journal):
        first, gate = start_held(group, journal)
        others = queue(group, 1, 2, 3, 4)
        gate.open()
        assert [task.result() for task in [first, *others]] == [0, 2, 4, 6, 8]
        assert journal.batches == [[0], [1, 2, 3, 4]]

    def test_no_commit_is_larger_than_the_batch_size(self, journal):
        group = GroupCommit(journal, batch_size=3)
        first, gate = start_held(group, journal)
        others = queue(group, *range(1, 9))
        gate.open()
        assert [task.result() for task in [first, *others]] == list(range(0, 18, 2))
        assert [len(batch) for batch in journal.batches] == [1, 3, 3, 2]

    def test_one_commit_runs_at_a_time(self):
        at_work = threading.Lock()
        collisions = []

        def commit(items):
            if not at_work.acquire(blocking=False):
                collisions.append(items)
                return items
            threading.Event().wait(0.0001)
            at_work.release()
            return items

        group = GroupCommit(commit, batch_size=3)
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(group.submit, range(1000)))
        assert collisions == []


class TestAFailingCommit:
    def test_fails_all_of_its_items_and_none_of_the_next(self, group, journal):
        first, gate = start_held(group, journal)
        doomed = queue(group, 1, 2)
        journal.errors[2] = OSError("full")
        last_gate = journal.hold(1)
        gate.open()
        last_gate.wait_for_somebody()
        next_one = Task(group.submit, 3)
        wait_until_waiting(group, 1)
        last_gate.open()
        for task in doomed:
            with pytest.raises(OSError, match="full"):
                task.result()
        assert first.result() == 0
        assert next_one.result() == 6

    def test_and_then_all_is_as_before(self, group, journal):
        journal.errors[1] = OSError("full")
        with pytest.raises(OSError, match="full"):
            group.submit(1)
        assert group.submit(2) == 4

    def test_with_too_few_results_fails_those_that_have_none(self):
        group: GroupCommit[int, int] = GroupCommit(lambda items: [], batch_size=10)
        with pytest.raises(ValueError, match="shorter"):
            group.submit(1)

    def test_that_is_told_to_stop_stops_its_leader_and_hands_the_lead_on(self, group, journal):
        first, gate = start_held(group, journal)
        others = queue(group, 1, 2)
        journal.errors[0] = SystemExit()
        gate.open()
        with pytest.raises(SystemExit):
            first.result()
        assert [task.result() for task in others] == [2, 4]

    def test_that_is_told_to_stop_fails_its_followers_too(self, group, journal):
        first, gate = start_held(group, journal)
        leader, follower = queue(group, 1, 2)
        journal.errors[1] = SystemExit()
        gate.open()
        first.result()
        for task in (leader, follower):
            with pytest.raises(SystemExit):
                task.result()
        assert group.submit(3) == 6


class TestGivingUp:
    def test_who_waits_too_long_is_withdrawn_and_never_committed(self, group, journal):
        first, gate = start_held(group, journal)
        ticket = group.enter(1, timeout_seconds=0)
        assert ticket.withdrawn
        assert not ticket.done
        gate.open()
        first.result()
        group.submit(2)
        assert journal.batches == [[0], [2]]

    def test_what_a_commit_has_taken_is_not_withdrawn_and_ends_done(self, group, journal):
        first, gate = start_held(group, journal)
        (leader,) = queue(group, 1)
        follower = Task(group.enter, 2, 0.2)
        wait_until_waiting(group, 2)
        second_gate = journal.hold(2)
        gate.open()
        second_gate.wait_for_somebody()
        ticket = follower.result()
        assert not ticket.withdrawn
        assert not ticket.done
        second_gate.open()
        ticket.wait(PATIENCE_SECONDS)
        assert ticket.done
        assert ticket.result() == 4
        assert leader.result() == 2
        assert first.result() == 0

    def test_who_finds_nobody_committing_commits_whatever_his_timeout(self, group):
        assert group.enter(1, timeout_seconds=-1).result() == 2

    def test_who_submits_with_a_timeout_is_told_that_it_is_over(self, group, journal):
        first, gate = start_held(group, journal)
        with pytest.raises(TimeoutError):
            group.submit(1, timeout_seconds=0)
        gate.open()
        assert first.result() == 0
        assert journal.batches == [[0]]

    def test_who_submits_with_a_timeout_waits_for_a_commit_that_has_begun(self, group, journal):
        first, gate = start_held(group, journal)
        (leader,) = queue(group, 1)
        follower = Task(group.submit, 2, 0.2)
        wait_until_waiting(group, 2)
        second_gate = journal.hold(2)
        gate.open()
        second_gate.wait_for_somebody()
        follower.join(0.3)
        assert follower.is_alive()
        second_gate.open()
        assert [task.result() for task in (first, leader, follower)] == [0, 2, 4]

    def test_the_lead_passes_over_those_who_gave_up(self, group, journal):
        first, gate = start_held(group, journal)
        patient = queue(group, 1)
        assert group.enter(2, timeout_seconds=0).withdrawn
        patient += queue(group, 3)
        gate.open()
        assert [task.result() for task in [first, *patient]] == [0, 2, 6]
        assert journal.batches == [[0], [1, 3]]


class TestAnInterruptedWait:
    """Ctrl-C reaches the main thread wherever it is; the others must not wait for it then."""

    @pytest.fixture
    def interrupt(self):
        """Makes this thread's wait end with Interrupted, after `before` was called."""
        usual = signal.getsignal(signal.SIGALRM)

        def interrupt_soon(before=lambda: None):
            def handler(*_):
                before()
                raise Interrupted

            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.05)

        yield interrupt_soon
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)

    def test_withdraws_its_item(self, group, journal, interrupt):
        first, gate = start_held(group, journal)
        interrupt()
        with pytest.raises(Interrupted):
            group.submit(1)
        gate.open()
        first.result()
        assert Task(group.submit, 2).result() == 4
        assert journal.batches == [[0], [2]]

    def test_hands_on_the_lead_that_it_was_just_given(self, group, journal, interrupt):
        first, gate = start_held(group, journal)
        followers = []

        def until_the_lead_is_given():
            followers.extend(queue(group, 2))
            gate.open()
            first.result()

        interrupt(until_the_lead_is_given)
        with pytest.raises(Interrupted):
            group.submit(1)
        assert followers[0].result() == 4
        assert journal.batches == [[0], [2]]


class TestUnderStress:
    def test_no_item_is_stranded_lost_or_committed_twice(self):
        committed = []

        def commit(items):
            committed.extend(items)
            if len(committed) % 7 == 0:
                threading.Event().wait(0.0005)
            if len(committed) % 11 == 0:
                raise OSError("now and then")
            return items

        group = GroupCommit(commit, batch_size=4)

        def enter_often(name):
            chance = random.Random(name)
            tickets = []
            for number in range(250):
                timeout = chance.choice([0, 0.0001, 0.0005, 0.002, PATIENCE_SECONDS])
                tickets.append(group.enter((name, number), timeout))
            return tickets

        tasks = [Task(enter_often, name) for name in range(24)]
        tickets = [ticket for task in tasks for ticket in task.result()]
        for ticket in tickets:
            if not ticket.withdrawn:
                ticket.wait(PATIENCE_SECONDS)
        assert len(tickets) == 24 * 250
        assert all(ticket.done != ticket.withdrawn for ticket in tickets)
        assert max(Counter(committed).values()) == 1
        assert set(committed) == {ticket.item for ticket in tickets if ticket.done}

    def test_a_group_that_was_left_idle_takes_the_next_item(self, group):
        for item in range(200):
            with ThreadPoolExecutor(3) as threads:
                assert sorted(threads.map(group.submit, [item] * 3)) == [2 * item] * 3


class TestWhatComesThen:
    """What a leader does for its whole batch after the commit, while others commit already."""

    @pytest.fixture
    def calls(self):
        return []

    @pytest.fixture
    def gate(self):
        return Gate()

    @pytest.fixture
    def held(self, journal, calls, gate):
        """A group whose `then` is held up for batches with an odd item; nobody waits for long."""

        def then(items, results):
            calls.append((list(items), list(results), time.monotonic()))
            if any(item % 2 for item in items):
                gate.pass_through()

        group: GroupCommit[int, int] = GroupCommit(
            journal, batch_size=100, then=then, then_seconds=0.3
        )
        yield group
        gate.open()

    def test_gets_the_items_of_the_batch_with_their_results(self, held, journal, calls):
        first, commit_gate = start_held(held, journal)
        others = queue(held, 2, 4)
        commit_gate.open()
        assert [task.result() for task in [first, *others]] == [0, 4, 8]
        assert [call[:2] for call in calls] == [([0], [0]), ([2, 4], [4, 8])]

    def test_is_not_done_for_what_was_not_committed(self, held, journal, calls):
        journal.errors[2] = OSError("full")
        with pytest.raises(OSError, match="full"):
            held.submit(2)
        assert calls == []

    def test_does_not_keep_the_next_leader_from_committing(self, held, calls, gate):
        first = Task(held.submit, 1)
        gate.wait_for_somebody()
        assert held.submit(2) == 4
        assert first.is_alive()
        gate.open()
        assert first.result() == 2

    def test_is_waited_for_by_everybody_in_the_batch(self, held, journal, gate):
        first, commit_gate = start_held(held, journal)
        leader, follower = queue(held, 1, 2)
        commit_gate.open()
        gate.wait_for_somebody()
        follower.join(0.02)
        assert follower.is_alive()
        gate.open()
        assert [task.result() for task in (first, leader, follower)] == [0, 2, 4]

    def test_is_waited_for_no_longer_than_was_said_and_no_shorter(self, held, journal, calls, gate):
        first, commit_gate = start_held(held, journal)
        leader, follower = queue(held, 1, 2)
        follower.join(0.2)  # it has waited for the commit already; that does not count
        commit_gate.open()
        assert follower.result() == 4
        assert time.monotonic() - calls[-1][2] >= 0.29
        assert leader.is_alive()
        gate.open()
        assert [task.result() for task in (first, leader)] == [0, 2]


class TestJoining:
    """For an owner who has threads of his own: nobody leads, and commits run side by side."""

    def test_an_item_waits_until_somebody_runs(self, group, journal):
        ticket = group.join(1)
        assert journal.batches == []
        group.run()
        assert ticket.done
        assert ticket.result() == 2

    def test_a_run_takes_everything_that_queues_up_to_the_batch_size(self, journal):
        group = GroupCommit(journal, batch_size=2)
        for item in (1, 2, 3):
            group.join(item)
        group.run()
        group.run()
        assert journal.batches == [[1, 2], [3]]

    def test_a_run_without_items_commits_nothing(self, group, journal):
        group.run()
        assert journal.batches == []

    def test_runs_do_not_wait_for_one_another(self, journal):
        group = GroupCommit(journal, batch_size=1)
        gates = [journal.hold(item) for item in (1, 2)]
        tickets = [group.join(item) for item in (1, 2)]
        tasks = [Task(group.run) for _ in tickets]
        for gate in gates:
            gate.wait_for_somebody()  # both are at work at the same time
        for gate in gates:
            gate.open()
        for task in tasks:
            task.result()
        assert [ticket.result() for ticket in tickets] == [2, 4]

    def test_a_run_that_is_told_to_stop_stops_its_thread_too(self, group, journal):
        journal.errors[1] = SystemExit()
        ticket = group.join(1)
        with pytest.raises(SystemExit):
            group.run()
        assert ticket.done

    def test_a_failing_run_fails_its_items_and_not_its_thread(self, group, journal):
        journal.errors[1] = OSError("full")
        ticket = group.join(1)
        group.run()
        with pytest.raises(OSError, match="full"):
            ticket.result()
