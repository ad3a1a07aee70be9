"""What every store must do, as one test class for any of them.

Subclass `StoreContract` and give it a fixture `connect`; pytest does the rest.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from segmentstream_api.store.records import (
    Acceptance,
    Buried,
    DeadLetterFilter,
    DestinationState,
    DestinationStats,
    Postponed,
    Settled,
)
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import A_DAY, NOON, Clock, an_event, an_event_without_hit_id

AN_HOUR = 3_600.0
WINDOW = A_DAY
RETRY_FOR = 3 * A_DAY
KEEP_DEAD_FOR = 30 * A_DAY
LEASE = 25.0
ANY = DeadLetterFilter()


def claim(store, destination="crm", *, limit=100, lease=LEASE, probe=False):
    return list(store.claim(destination, limit=limit, lease_seconds=lease, probe=probe))


def settle(store, *settlements):
    store.settle(settlements)
    store.flush()


def postponed(row, due_at, *, held=False, reason="HTTP 503", attempts=1):
    return Postponed(
        row.event_id, row.destination, row.lease_ms, attempts, due_at, held=held, reason=reason
    )


def buried(row, reason="HTTP 400", attempts=1):
    return Buried(row.event_id, row.destination, attempts, reason)


def settled(row):
    return Settled(row.event_id, row.destination)


def bodies(rows):
    return [row.body for row in rows]


class StoreContract:
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def connect(self, clock):
        """Makes a store, opened, for the same data each time: what several workers have.

        It remembers for WINDOW, retries for RETRY_FOR and keeps dead letters for KEEP_DEAD_FOR,
        by `clock`.
        """
        raise NotImplementedError("give your test class a fixture named connect")

    @pytest.fixture
    def store(self, connect):
        return connect()

    @pytest.fixture
    def other(self, connect, store):
        """Another worker's."""
        return connect()

    # Taking no event yet

    def test_its_kind_is_one_word(self, store):
        assert store.kind.isalpha()

    def test_one_that_takes_events_is_writable_and_finding_that_out_keeps_nothing(self, store):
        store.accept(an_event("before"), {"crm": 0})
        found = store.stats()
        for _ in range(3):
            store.writable()
        assert store.stats() == found
        assert len(claim(store)) == 1

    # Accepting

    def test_a_new_event_is_new_and_its_pushes_get_their_leases(self, store):
        receipt = store.accept(an_event(), {"crm": LEASE, "archive": 15.0})
        assert receipt.acceptance is Acceptance.NEW
        assert receipt.event_id is not None
        assert receipt.leases == {"crm": (NOON + LEASE) * 1000, "archive": (NOON + 15) * 1000}

    def test_an_event_that_was_never_accepted_is_not_recalled(self, store):
        assert store.recall(an_event()) is None

    def test_an_accepted_event_is_recalled_by_every_worker_and_accepted_only_once(
        self, store, other
    ):
        event = an_event("h-1")
        store.accept(event, {"crm": 0})
        for each in (store, other):
            for receipt in (each.recall(event), each.accept(event, {"crm": 0})):
                assert receipt.acceptance is Acceptance.DUPLICATE
                assert receipt.event_id is None
        assert len(claim(store)) == 1

    def test_a_duplicate_is_one_while_the_first_is_still_being_pushed(self, store, other):
        store.accept(an_event("h-1"), {"crm": LEASE})
        assert other.accept(an_event("h-1"), {"crm": LEASE}).acceptance is Acceptance.DUPLICATE

    def test_the_same_hit_id_with_another_body_is_a_conflict_and_the_first_stays(self, store):
        first = an_event("h-1", context={"ip": "192.0.2.1"})
        second = an_event("h-1", context={"ip": "192.0.2.2"})
        store.accept(first, {"crm": 0})
        assert store.recall(second).acceptance is Acceptance.CONFLICT
        assert store.accept(second, {"crm": 0}).acceptance is Acceptance.CONFLICT
        assert bodies(claim(store)) == [first.body]

    def test_another_sent_at_makes_no_conflict(self, store):
        store.accept(an_event("h-1", sentAt="2025-01-01"), {"crm": 0})
        again = an_event("h-1", sentAt="2025-01-02")
        assert store.accept(again, {"crm": 0}).acceptance is Acceptance.DUPLICATE

    def test_the_same_hit_id_in_another_project_is_another_event(self, store):
        store.accept(an_event("h-1", project="shop"), {"crm": 0})
        elsewhere = an_event("h-1", project="blog")
        assert store.recall(elsewhere) is None
        assert store.accept(elsewhere, {"crm": 0}).acceptance is Acceptance.NEW
        assert len(claim(store)) == 2

    def test_an_event_without_hit_id_is_never_a_duplicate(self, store):
        event = an_event_without_hit_id()
        for _ in range(2):
            assert store.accept(event, {"crm": 0}).acceptance is Acceptance.NEW
            assert store.recall(event) is None
        assert len(claim(store)) == 2

    def test_an_event_for_nobody_is_remembered_all_the_same(self, store):
        receipt = store.accept(an_event("h-1"), {})
        assert receipt.acceptance is Acceptance.NEW
        assert receipt.event_id is None
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE
        assert store.stats() == {}

    def test_of_a_hundred_at_once_one_is_new(self, store, other):
        barrier = threading.Barrier(100)

        def accept(number):
            barrier.wait()
            return (store, other)[number % 2].accept(an_event("h-1"), {"crm": 0}).acceptance

        with ThreadPoolExecutor(100) as threads:
            acceptances = list(threads.map(accept, range(100)))
        assert acceptances.count(Acceptance.NEW) == 1
        assert acceptances.count(Acceptance.DUPLICATE) == 99
        assert len(claim(store)) == 1

    def test_a_body_comes_back_byte_by_byte_whatever_text_it_holds(self, store):
        event = an_event("h-\u202e😀'\"%s", context={"nul": "\0", "old": "Ж漢"}, big=2**70)
        store.accept(event, {"crm": 0})
        (row,) = claim(store)
        assert row.body == event.body
        assert row.key == event.key

    def test_a_name_may_be_any_text_and_its_dead_letter_is_found_by_it(self, store):
        name = "a\0b 😀 %s ?"
        store.accept(an_event("h-1", event={"name": name, "user": {"userId": "u"}}), {"crm": 0})
        settle(store, *map(buried, claim(store)))
        assert self.found(store, name=name) == [("h-1", "crm")]
        assert self.found(store, name="a") == []

    def test_a_batch_may_hold_one_hit_id_several_times_and_none_at_all(self, store):
        first, again = an_event("h-1"), an_event("h-1", context={"ip": "192.0.2.1"})
        store.accept(an_event("known"), {})
        batch = [first, an_event_without_hit_id(), first, an_event("known"), again, an_event("h-2")]
        receipts = store.accept_all([(event, {"crm": 0}) for event in batch])
        new, duplicate, conflict = Acceptance.NEW, Acceptance.DUPLICATE, Acceptance.CONFLICT
        expected = [new, new, duplicate, duplicate, conflict, new]
        assert [receipt.acceptance for receipt in receipts] == expected
        ids = {receipt.event_id for receipt in receipts if receipt.acceptance is new}
        assert {row.event_id: row.body for row in claim(store)} == {
            receipt.event_id: event.body
            for receipt, event in zip(receipts, batch, strict=True)
            if receipt.event_id in ids
        }

    # Remembering

    def test_a_hit_id_is_remembered_for_the_whole_window_and_not_longer(self, store, clock):
        store.accept(an_event("h-1"), {})
        clock.advance(WINDOW - 1)
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE
        clock.advance(1)
        assert store.recall(an_event("h-1")) is None
        assert store.accept(an_event("h-1"), {}).acceptance is Acceptance.NEW
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE

    def test_a_hit_id_is_remembered_while_its_event_still_waits(self, store, clock):
        store.accept(an_event("h-1"), {"crm": 0})
        clock.advance(2 * WINDOW)
        for _ in range(3):
            store.prune(["crm"], limit=100)
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE
        assert store.accept(an_event("h-1"), {"crm": 0}).acceptance is Acceptance.DUPLICATE

    def test_an_event_is_kept_until_its_last_destination_has_it(self, store, clock):
        store.accept(an_event("h-1"), {"crm": 0, "archive": 0})
        clock.advance(WINDOW)
        settle(store, *map(settled, claim(store, "crm")))
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE
        settle(store, *map(settled, claim(store, "archive")))
        assert store.recall(an_event("h-1")) is None
        assert store.accept(an_event("h-1"), {"crm": 0}).acceptance is Acceptance.NEW

    def test_a_dead_letter_keeps_its_event(self, store, clock):
        store.accept(an_event("h-1"), {"crm": 0})
        settle(store, *map(buried, claim(store)))
        clock.advance(WINDOW)
        assert store.recall(an_event("h-1")).acceptance is Acceptance.DUPLICATE
        store.drop(store.dead_letters(ANY, 1))
        assert store.recall(an_event("h-1")) is None

    # Claiming

    def test_a_claimed_delivery_has_all_that_sending_needs(self, store, clock):
        event = an_event(at=NOON - 2.5)
        receipt = store.accept(event, {"crm": 0})
        (row,) = claim(store)
        assert (row.event_id, row.destination) == (receipt.event_id, "crm")
        assert (row.key, row.body) == (event.key, event.body)
        assert row.attempts == 0
        assert row.received_at == NOON - 2.5
        assert row.lease_ms == (NOON + LEASE) * 1000

    def test_nobody_else_gets_it_while_the_lease_lasts(self, store, other, clock):
        store.accept(an_event(), {"crm": 0})
        assert len(claim(store)) == 1
        clock.advance(LEASE - 0.001)
        assert claim(other) == []
        clock.advance(0.001)
        assert len(claim(other)) == 1
        assert claim(store) == []

    def test_a_push_has_a_lease_too(self, store, clock):
        store.accept(an_event(), {"crm": LEASE})
        clock.advance(LEASE - 0.001)
        assert claim(store) == []
        clock.advance(0.001)
        assert len(claim(store)) == 1

    def test_a_claim_is_for_one_destination(self, store):
        store.accept(an_event(), {"crm": 0, "archive": 0})
        assert len(claim(store, "crm")) == 1
        assert len(claim(store, "archive")) == 1
        assert claim(store, "nobody") == []

    def test_a_claim_takes_the_oldest_due_first_and_no_more_than_asked_for(self, store, clock):
        events = [an_event() for _ in range(5)]
        for event in events:
            store.accept(event, {"crm": 0})
            clock.advance(1)
        assert bodies(claim(store, limit=2)) == bodies(events[:2])
        assert bodies(claim(store, limit=2)) == bodies(events[2:4])
        assert bodies(claim(store, limit=2)) == bodies(events[4:])

    def test_many_claimers_never_get_the_same(self, store, other):
        for _ in range(60):
            store.accept(an_event(), {"crm": 0})
        workers = [store, other] * 4

        def claim_all(worker):
            rows = []
            while some := claim(worker, limit=5):
                rows += some
            return rows

        with ThreadPoolExecutor(len(workers)) as threads:
            claimed = [row.event_id for rows in threads.map(claim_all, workers) for row in rows]
        assert len(claimed) == len(set(claimed)) == 60

    # Settling

    def test_what_is_delivered_waits_no_more(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        settle(store, *map(settled, claim(store)))
        clock.advance(A_DAY)
        assert claim(store) == []
        assert store.stats() == {}

    def test_what_is_postponed_is_due_again_in_time_and_knows_its_attempts(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        (row,) = claim(store)
        settle(store, postponed(row, NOON + 300, attempts=7))
        clock.now = NOON + 299.9
        assert claim(store) == []
        clock.now = NOON + 300
        (again,) = claim(store)
        assert again.attempts == 7
        assert (again.key, again.body) == (row.key, row.body)

    def test_what_is_rejected_becomes_a_dead_letter(self, store, clock):
        event = an_event("h-1", at=NOON - 1)
        store.accept(event, {"crm": 0})
        (row,) = claim(store)
        clock.advance(2)
        settle(store, buried(row, "HTTP 422", attempts=3))
        (letter,) = store.dead_letters(ANY, 10)
        assert (letter.event_id, letter.destination) == (row.event_id, "crm")
        assert (letter.project, letter.hit_id, letter.name) == ("shop", "h-1", "")
        assert (letter.received_at, letter.died_at) == (NOON - 1, NOON + 2)
        assert (letter.attempts, letter.reason, letter.body) == (3, "HTTP 422", event.body)
        clock.advance(A_DAY)
        assert claim(store) == []

    def test_one_destinations_outcome_changes_nothing_for_another(self, store, clock):
        store.accept(an_event(), {"crm": 0, "archive": 0, "web": 0})
        settle(store, *map(settled, claim(store, "crm")), *map(buried, claim(store, "archive")))
        assert len(claim(store, "web")) == 1

    def test_settlements_are_written_by_a_flush(self, store, other):
        store.accept(an_event(), {"crm": 0})
        store.settle(map(settled, claim(store)))
        store.flush()
        assert other.stats() == {}

    def test_settlements_ride_along_with_the_next_event(self, store, other):
        store.accept(an_event(), {"crm": 0})
        store.settle(map(settled, claim(store)))
        store.accept(an_event(), {"archive": 0})
        assert list(other.stats()) == ["archive"]

    def test_settlements_are_written_by_closing(self, store, other):
        store.accept(an_event(), {"crm": 0})
        store.settle(map(settled, claim(store)))
        store.close()
        assert other.stats() == {}

    def test_settlements_that_many_threads_write_at_once_are_all_written(self, store):
        receipts = [store.accept(an_event(), {"crm": LEASE}) for _ in range(12)]
        usual_seconds = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # threads meet more often
        try:
            with ThreadPoolExecutor(6) as threads:
                for receipt in receipts:
                    nobodys = [Settled(-number, "crm") for number in range(1, 2000)]
                    store.settle([*nobodys, Settled(receipt.event_id, "crm"), *nobodys])
                    writing = [threads.submit(store.flush) for _ in range(5)]
                    writing.append(threads.submit(store.accept, an_event(), {"web": 0}))
                    for each in writing:
                        each.result()
        finally:
            sys.setswitchinterval(usual_seconds)
        store.flush()
        assert list(store.stats()) == ["web"]

    def test_a_flush_of_nothing_is_no_fault(self, store):
        store.flush()

    def test_a_reason_may_be_any_text(self, store):
        for _ in range(2):
            store.accept(an_event(), {"crm": 0})
        first, second = claim(store)
        settle(store, buried(first, "\ud800 \0 😀 '"), postponed(second, NOON, reason="\udfff\0"))
        store.note("crm", DestinationState("open", NOON, "\ud800\0", NOON))
        store.flush()
        (letter,) = store.dead_letters(ANY, 10)
        assert letter.reason.endswith("😀 '")
        assert len(claim(store)) == 1

    # Fencing

    def test_a_late_postponement_is_ignored_once_the_lease_has_gone_to_somebody_else(
        self, store, other, clock
    ):
        store.accept(an_event(), {"crm": 0})
        (late,) = claim(store)
        clock.advance(LEASE)
        (held_now,) = claim(other)
        settle(store, postponed(late, clock.now + A_DAY, attempts=99))
        settle(other, postponed(held_now, clock.now + 5, attempts=2))
        clock.advance(5)
        (row,) = claim(store)
        assert row.attempts == 2

    def test_a_late_delivery_counts_whoever_holds_the_lease(self, store, other, clock):
        store.accept(an_event(), {"crm": 0})
        (late,) = claim(store)
        clock.advance(LEASE)
        (held_now,) = claim(other)
        settle(store, settled(late))
        settle(other, postponed(held_now, clock.now))
        assert store.stats() == {}
        assert claim(store) == []

    def test_what_was_delivered_does_not_become_a_dead_letter(self, store):
        store.accept(an_event(), {"crm": 0})
        (row,) = claim(store)
        settle(store, settled(row))
        settle(store, buried(row))
        assert store.dead_letters(ANY, 10) == []

    def test_what_was_rejected_twice_is_one_dead_letter(self, store):
        store.accept(an_event(), {"crm": 0})
        (row,) = claim(store)
        settle(store, buried(row, "first"), buried(row, "second"))
        settle(store, buried(row, "third"))
        assert [letter.reason for letter in store.dead_letters(ANY, 10)] == ["first"]

    # Probing and releasing

    def test_a_probe_takes_early_what_waits_by_our_own_choice(self, store):
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300) for row in claim(store)])
        assert claim(store) == []
        assert len(claim(store, probe=True)) == 1

    def test_a_probe_takes_what_is_due(self, store):
        store.accept(an_event(), {"crm": 0})
        assert len(claim(store, probe=True)) == 1

    def test_a_probe_takes_neither_what_is_held_nor_what_is_leased(self, store):
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300, held=True) for row in claim(store)])
        store.accept(an_event(), {"crm": 0})
        assert len(claim(store)) == 1
        store.accept(an_event(), {"crm": LEASE})
        assert claim(store, probe=True) == []

    def test_what_is_held_is_due_in_its_time(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300, held=True) for row in claim(store)])
        clock.advance(300)
        assert len(claim(store)) == 1

    def test_a_release_makes_due_what_waits_by_our_own_choice(self, store):
        for _ in range(3):
            store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300) for row in claim(store)])
        store.release("crm")
        assert len(claim(store)) == 3

    def test_a_release_leaves_what_is_held_what_is_leased_and_what_is_anothers(self, store):
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300, held=True) for row in claim(store)])
        store.accept(an_event(), {"crm": 0})
        assert len(claim(store)) == 1
        store.accept(an_event(), {"crm": LEASE})
        store.accept(an_event(), {"archive": 0})
        settle(store, *[postponed(row, NOON + 300) for row in claim(store, "archive")])
        store.release("crm")
        assert claim(store, "crm") == []
        assert claim(store, "archive") == []

    # Dead letters

    @pytest.fixture
    def graveyard(self, store, clock):
        """Dead letters of three events, two destinations, a second apart."""
        for hit_id, name in (("h-1", "Registered"), ("h-2", "Refunded"), ("h-3", "Registered")):
            event = an_event(hit_id, event={"name": name, "user": {"userId": "u"}})
            store.accept(event, {"crm": 0, "archive": 0})
            settle(store, *map(buried, claim(store, "crm")), *map(buried, claim(store, "archive")))
            clock.advance(1)
        return store

    def found(self, store, limit=10, **wanted):
        letters = store.dead_letters(DeadLetterFilter(**wanted), limit)
        return [(letter.hit_id, letter.destination) for letter in letters]

    def test_dead_letters_are_listed_oldest_event_first(self, graveyard):
        everything = [(f"h-{n}", name) for n in (1, 2, 3) for name in ("archive", "crm")]
        assert self.found(graveyard) == everything
        assert self.found(graveyard, limit=3) == everything[:3]
        assert self.found(graveyard, limit=0) == []

    @pytest.mark.parametrize(
        ("wanted", "hit_ids"),
        [
            ({}, ["h-1", "h-2", "h-3"]),
            ({"name": "Registered"}, ["h-1", "h-3"]),
            ({"hit_id": "h-2"}, ["h-2"]),
            ({"died_after": NOON + 1}, ["h-2", "h-3"]),
            ({"died_before": NOON + 2}, ["h-1", "h-2"]),
            ({"died_after": NOON + 1, "died_before": NOON + 2}, ["h-2"]),
            ({"name": "Registered", "died_after": NOON + 1}, ["h-3"]),
            ({"name": "registered"}, []),
            ({"hit_id": "h-%"}, []),
        ],
    )
    def test_dead_letters_are_found_and_counted_by_what_is_wanted(self, graveyard, wanted, hit_ids):
        assert self.found(graveyard, destination="crm", **wanted) == [(h, "crm") for h in hit_ids]
        assert graveyard.count_dead_letters(DeadLetterFilter(**wanted)) == 2 * len(hit_ids)

    def test_a_replayed_letter_is_due_now_with_the_same_key_and_body(self, graveyard):
        letters = graveyard.dead_letters(DeadLetterFilter(destination="crm"), 10)
        assert graveyard.replay(letters) == 3
        rows = claim(graveyard)
        assert bodies(rows) == [letter.body for letter in letters]
        assert [row.key for row in rows] == [an_event(f"h-{n}").key for n in (1, 2, 3)]
        assert [row.attempts for row in rows] == [0, 0, 0]
        assert self.found(graveyard, destination="crm") == []
        assert len(self.found(graveyard, destination="archive")) == 3

    def test_a_letter_is_replayed_once_however_often_one_asks(self, graveyard, other):
        letters = graveyard.dead_letters(DeadLetterFilter(destination="crm"), 10)
        assert graveyard.replay(letters) == 3
        assert other.replay(letters) == 0
        settle(graveyard, *map(settled, claim(graveyard)))
        assert other.replay(letters) == 0
        assert claim(other) == []

    def test_a_replay_of_a_part_can_be_gone_on_with(self, graveyard):
        letters = graveyard.dead_letters(ANY, 10)
        assert graveyard.replay(letters[:2]) == 2
        assert graveyard.replay(letters) == 4

    def test_a_dropped_letter_is_gone_and_the_other_destinations_stays(self, graveyard):
        letters = graveyard.dead_letters(DeadLetterFilter(destination="crm"), 10)
        assert graveyard.drop(letters) == 3
        assert graveyard.drop(letters) == 0
        assert graveyard.replay(letters) == 0
        assert self.found(graveyard) == [(f"h-{number}", "archive") for number in (1, 2, 3)]

    def test_a_replayed_letter_may_die_again(self, graveyard):
        graveyard.replay(graveyard.dead_letters(ANY, 10))
        settle(graveyard, *[buried(row, "again") for row in claim(graveyard)])
        (reason,) = {
            letter.reason
            for letter in graveyard.dead_letters(DeadLetterFilter(destination="crm"), 10)
        }
        assert reason == "again"

    # Pruning

    def prune(self, store, limit=100, destinations=("crm", "archive")):
        return store.prune(destinations, limit=limit)

    def test_a_store_without_old_things_has_nothing_to_prune(self, graveyard):
        graveyard.accept(an_event(), {"crm": 0})
        assert self.prune(graveyard) == 0

    def test_expired_hit_ids_go_in_small_batches(self, store, clock):
        for _ in range(5):
            store.accept(an_event(), {})
        clock.advance(WINDOW - 1)
        assert self.prune(store) == 0
        clock.advance(1)
        assert [self.prune(store, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    def test_a_hit_id_whose_event_has_waited_is_pruned_in_the_end(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        clock.advance(WINDOW)
        assert self.prune(store) == 0
        settle(store, *map(settled, claim(store)))
        clock.advance(WINDOW)
        assert self.prune(store) == 1

    def test_hit_ids_whose_events_wait_do_not_keep_others_from_being_pruned(self, store, clock):
        for _ in range(3):
            store.accept(an_event(), {"crm": 0})
        clock.advance(1)
        store.accept(an_event(), {})
        clock.advance(WINDOW)
        assert sum(self.prune(store, limit=2) for _ in range(3)) == 1

    def test_dead_letters_go_after_their_time_in_small_batches(self, graveyard, clock):
        clock.now = NOON + KEEP_DEAD_FOR - 1
        while self.prune(graveyard):  # the hit ids
            pass
        assert graveyard.count_dead_letters(ANY) == 6
        clock.now = NOON + KEEP_DEAD_FOR + 10
        self.prune(graveyard, limit=4)
        assert graveyard.count_dead_letters(ANY) == 2
        self.prune(graveyard, limit=4)
        assert graveyard.count_dead_letters(ANY) == 0

    def test_what_is_too_old_is_given_up_with_its_last_reason(self, store, clock):
        store.accept(an_event("tried"), {"crm": 0})
        (row,) = claim(store)
        settle(store, postponed(row, NOON + 300, attempts=4, reason="HTTP 503"))
        store.accept(an_event("never tried"), {"archive": 0})
        clock.advance(RETRY_FOR - 1)
        self.prune(store)
        assert store.count_dead_letters(ANY) == 0
        clock.advance(1)
        self.prune(store)
        tried, never = store.dead_letters(ANY, 10)
        assert (tried.hit_id, tried.attempts, tried.died_at) == ("tried", 4, clock.now)
        assert tried.reason == "too old to try again: HTTP 503"
        assert never.reason == "too old to try again: not sent"
        assert claim(store) == claim(store, "archive") == []

    def test_giving_up_goes_in_small_batches_oldest_first(self, store, clock):
        for number in range(5):
            store.accept(an_event(f"h-{number}", at=clock.now), {"crm": 0})
            clock.advance(1)
        clock.advance(RETRY_FOR)
        self.prune(store, limit=2)
        assert self.found(store) == [("h-0", "crm"), ("h-1", "crm")]
        self.prune(store, limit=2)
        self.prune(store, limit=2)
        assert len(self.found(store)) == 5

    def test_what_waits_for_a_destination_that_is_not_configured_is_not_given_up(
        self, store, clock
    ):
        store.accept(an_event(), {"old-crm": 0})
        clock.advance(10 * RETRY_FOR)
        self.prune(store)
        self.prune(store, destinations=())
        assert store.count_dead_letters(ANY) == 0
        assert store.stats()["old-crm"].waiting == 1

    def test_what_is_being_sent_is_not_given_up(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        clock.advance(RETRY_FOR)
        (row,) = claim(store)
        self.prune(store)
        assert store.count_dead_letters(ANY) == 0
        settle(store, settled(row))
        assert store.stats() == {}

    def test_what_was_replayed_is_not_too_old_even_if_it_was_handed_back(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        settle(store, *map(buried, claim(store)))
        clock.advance(2 * RETRY_FOR)
        store.replay(store.dead_letters(ANY, 1))
        self.prune(store)
        (row,) = claim(store)
        settle(store, postponed(row, clock.now, reason=None, attempts=0))
        self.prune(store)
        assert store.count_dead_letters(ANY) == 0
        assert len(claim(store)) == 1

    def test_replayed_ones_do_not_keep_others_from_being_given_up(self, store, clock):
        for _ in range(3):
            store.accept(an_event(), {"crm": 0})
        settle(store, *map(buried, claim(store)))
        store.accept(an_event("too old"), {"crm": 0})
        store.replay(store.dead_letters(ANY, 3))
        clock.advance(RETRY_FOR)
        self.prune(store, limit=1)
        assert self.found(store) == [("too old", "crm")]

    # What the store tells

    def test_an_empty_store_knows_of_no_destination(self, store):
        assert store.stats() == {}

    def test_the_stats_tell_each_destinations_share(self, store, clock):
        for second in range(3):
            store.accept(an_event(at=NOON + second), {"crm": 0, "archive": 0})
        first, *_ = claim(store, "archive")
        settle(store, settled(first))
        first, *_ = claim(store, "crm")
        settle(store, buried(first))
        store.note("crm", DestinationState("open", NOON, "HTTP 503", NOON + 1))
        store.flush()
        assert store.stats() == {
            "archive": DestinationStats(waiting=2, oldest_received_at=NOON + 1),
            "crm": DestinationStats(
                waiting=2,
                oldest_received_at=NOON + 1,
                dead=1,
                state=DestinationState("open", NOON, "HTTP 503", NOON + 1),
            ),
        }

    def test_a_note_is_the_last_word_but_an_error_is_remembered_until_the_next(self, store, other):
        store.note("crm", DestinationState("open", NOON, "HTTP 503", NOON))
        store.note("crm", DestinationState("closed", NOON + 5))
        store.flush()
        (stats,) = other.stats().values()
        assert stats.state == DestinationState("closed", NOON + 5, "HTTP 503", NOON)

    # When the clock is set

    def test_after_the_clock_was_set_back_deliveries_go_on(self, store, clock):
        for held in (False, True):
            store.accept(an_event(), {"crm": 0})
            settle(store, *[postponed(row, NOON + 5, held=held) for row in claim(store)])
        store.accept(an_event(), {"crm": LEASE})
        clock.advance(-AN_HOUR)
        assert claim(store) == []
        store.mend_clock()
        assert len(claim(store)) == 3

    def test_after_the_clock_was_set_forward_nothing_is_lost(self, store, clock):
        store.accept(an_event(), {"crm": LEASE})
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300) for row in claim(store)])
        for jump in (AN_HOUR, 25 * AN_HOUR):
            clock.now = NOON + jump
            store.mend_clock()
            self.prune(store)
            rows = claim(store)
            assert len(rows) == 2
            settle(store, *[postponed(row, clock.now + 300) for row in rows])
        assert store.count_dead_letters(ANY) == 0

    def test_after_the_clock_was_wrong_for_a_while_deliveries_go_on(self, store, clock):
        clock.advance(25 * AN_HOUR)
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, clock.now + 5) for row in claim(store)])
        clock.now = NOON
        store.mend_clock()
        assert len(claim(store)) == 1

    def test_who_held_a_lease_while_the_clock_was_set_back_holds_it_no_more(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        (late,) = claim(store)
        clock.advance(-AN_HOUR)
        store.mend_clock()
        settle(store, postponed(late, clock.now + A_DAY))
        assert len(claim(store)) == 1

    def test_a_right_clock_leaves_every_due_time_as_it_is(self, store, clock):
        store.accept(an_event(), {"crm": 0})
        settle(store, *[postponed(row, NOON + 300, held=True) for row in claim(store)])
        clock.advance(-1)  # as time servers do
        store.mend_clock()
        assert claim(store) == []
        assert claim(store, probe=True) == []

    # Opening and closing

    def test_everything_is_there_after_closing_and_opening_again(self, store, connect):
        events = [an_event(f"h-{number}") for number in range(20)]
        for event in events:
            store.accept(event, {"crm": 0})
        store.close()
        reopened = connect()
        assert all(reopened.recall(event) for event in events)
        assert sorted(bodies(claim(reopened))) == sorted(bodies(events))

    def test_a_good_store_passes_its_check(self, store):
        store.accept(an_event(), {"crm": 0})
        store.check()

    def test_a_store_that_was_opened_exists(self, store):
        assert store.exists()

    def test_opening_and_closing_twice_is_no_fault(self, store):
        store.open()
        store.close()
        store.close()

    # Going over into another store

    @pytest.fixture
    def full(self, store, clock):
        """One of each kind: waiting, postponed, dead, without hit id, and only remembered."""
        store.accept(an_event("tried"), {"crm": 0})
        (row,) = claim(store)
        settle(store, postponed(row, NOON + 300, attempts=4, held=True, reason="HTTP 503"))
        store.accept(an_event("waits"), {"crm": 0, "archive": LEASE})
        store.accept(an_event("dead", at=NOON - 1), {"web": 0, "crm": LEASE})
        settle(store, *map(buried, claim(store, "web")))
        store.accept(an_event_without_hit_id(), {"web": 0})
        for number in range(3):
            store.accept(an_event(f"delivered-{number}"), {})
        return store

    def export(self, store, limit=2):
        records, after = [], (0, b"")
        while page := store.export(after, limit):
            assert len(page) <= limit
            records += page
            after = page[-1].position
        return records

    @pytest.fixture
    def elsewhere(self, tmp_path, clock):
        """Another store, of the kind that needs nothing."""
        store = SqliteStore(
            SqliteFile(tmp_path / "elsewhere.db", floor_bytes=0),
            dedup_window_seconds=WINDOW,
            retry_for_seconds=RETRY_FOR,
            dead_letters_for_seconds=KEEP_DEAD_FOR,
            clock=clock,
        )
        store.open()
        yield store
        store.close()

    def content(self, store):
        """What it holds, whatever the ids; when a made-up hit id is forgotten does not count."""
        return sorted(
            (
                (record.key, record.event, bool(record.fingerprint) and record.expires_s)
                for record in self.export(store)
            ),
            key=str,
        )

    def same(self, one, two):
        assert self.content(one) == self.content(two)
        assert one.stats() == two.stats()
        assert self.found(one) == self.found(two)

    def test_everything_goes_over_into_another_store(self, full, elsewhere, clock):
        records = self.export(full)
        assert len(records) == full.count_export() == 7
        assert elsewhere.restore(records) == 7
        self.same(full, elsewhere)
        assert elsewhere.accept(an_event("waits"), {"crm": 0}).acceptance is Acceptance.DUPLICATE
        assert elsewhere.recall(an_event("delivered-0")).acceptance is Acceptance.DUPLICATE

    def test_what_another_store_held_goes_on_as_it_would_have_there(self, store, elsewhere, clock):
        elsewhere.accept(an_event("tried"), {"crm": 0})
        (row,) = claim(elsewhere)
        settle(elsewhere, postponed(row, NOON + 300, attempts=4, held=True, reason="HTTP 503"))
        elsewhere.accept(an_event("dead", at=NOON - 1), {"web": 0, "crm": LEASE})
        settle(elsewhere, *map(buried, claim(elsewhere, "web")))
        elsewhere.accept(an_event_without_hit_id(), {"web": 0})
        elsewhere.accept(an_event("delivered"), {})
        assert store.restore(self.export(elsewhere, 3)) == 4
        self.same(elsewhere, store)
        assert claim(store) == claim(store, probe=True) == []
        clock.advance(300)
        assert [row.attempts for row in claim(store)] == [0, 4]
        assert len(claim(store, "web")) == 1
        assert store.replay(store.dead_letters(ANY, 1)) == 1
        clock.advance(WINDOW)
        assert store.recall(an_event("delivered")) is None
        assert store.recall(an_event("dead")).acceptance is Acceptance.DUPLICATE

    def test_what_was_restored_before_is_left_as_it_is(self, full, elsewhere, store):
        records = self.export(full)
        assert elsewhere.restore(records[:4]) == 4
        settle(elsewhere, *map(settled, claim(elsewhere, "web")))
        before = self.content(elsewhere)
        assert elsewhere.restore(records) == len(records) - 4
        assert elsewhere.restore(records) == 0
        assert [each for each in self.content(elsewhere) if each in before] == before
        assert claim(elsewhere, "web") == []

    def test_what_has_expired_stays_behind(self, full, elsewhere, clock):
        clock.advance(WINDOW)
        assert full.count_export() == 4
        elsewhere.restore(self.export(full))
        assert elsewhere.recall(an_event("delivered-0")) is None
        assert elsewhere.recall(an_event("waits")).acceptance is Acceptance.DUPLICATE
