"""Group commit: batches, their order, and errors that reach nobody but their submitter."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError

from instances.db.batch_writer import BatchWriter

SOON = 60.0  # what a test waits for at most
FOR_EVER = 60.0  # a linger no test lives to see


class Book:
    """Commits by doubling. While `hold()` is in force, a commit waits; `batches` is what was handed in."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.errors: list[Exception] = []
        self.entered = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def commit(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        self.entered.set()
        assert self._open.wait(SOON)
        if self.errors:
            raise self.errors.pop(0)
        bad = [item for item in items if item < 0]
        if bad:
            raise ValueError(f"{bad[0]} is bad")
        return [item * 2 for item in items]


def filled(book: Book, committer: BatchWriter[int, int], items: Sequence[int]) -> list[Future[int]]:
    """Hand in items while a commit is under way, so that they wait together; then let it go on."""
    book.hold()
    first = committer.submit(0)
    assert book.entered.wait(SOON)
    futures = [committer.submit(item) for item in items]
    book.release()
    assert first.result(SOON) == 0
    return futures


def test_an_item_alone_is_committed() -> None:
    book = Book()
    committer = BatchWriter(book.commit)
    assert committer.submit(21).result(SOON) == 42
    assert book.batches == [[21]]


def test_what_waits_together_is_committed_together_and_in_order() -> None:
    book = Book()
    futures = filled(book, BatchWriter(book.commit), [5, 3, 9, 1])
    assert [future.result(SOON) for future in futures] == [10, 6, 18, 2]
    assert book.batches == [[0], [5, 3, 9, 1]]


def test_a_batch_holds_no_more_than_the_largest() -> None:
    book = Book()
    futures = filled(book, BatchWriter(book.commit, largest=3), list(range(1, 8)))
    assert [future.result(SOON) for future in futures] == [2, 4, 6, 8, 10, 12, 14]
    assert book.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_equal_items_have_a_result_each() -> None:
    book = Book()
    futures = filled(book, BatchWriter(book.commit), [7, 7])
    assert [future.result(SOON) for future in futures] == [14, 14]


def test_a_bad_item_takes_no_others_with_it() -> None:
    book = Book()
    good, bad, other = filled(book, BatchWriter(book.commit), [4, -1, 6])
    assert (good.result(SOON), other.result(SOON)) == (8, 12)
    with pytest.raises(ValueError, match="-1 is bad"):
        bad.result(SOON)
    assert book.batches == [[0], [4, -1, 6], [4], [-1], [6]]


def test_an_item_nobody_waits_for_is_told_of_when_it_is_lost() -> None:
    book, lost = Book(), list[tuple[int, str]]()

    def failed(item: int, error: Exception) -> None:
        lost.append((item, str(error)))
        raise RuntimeError("whoever is told has a defect")

    committer = BatchWriter(book.commit, failed=failed)
    book.hold()
    first = committer.submit(0)
    assert book.entered.wait(SOON)
    for item in (4, -1, -2):
        committer.hand_in(item)
    last = committer.submit(6)
    book.release()
    assert (first.result(SOON), last.result(SOON)) == (0, 12)
    assert lost == [(-1, "-1 is bad"), (-2, "-2 is bad")]
    assert book.batches == [[0], [4, -1, -2, 6], [4], [-1], [-2], [6]]


def test_every_bad_item_has_its_own_error() -> None:
    book = Book()
    one, two = filled(book, BatchWriter(book.commit), [-1, -2])
    for future, text in ((one, "-1 is bad"), (two, "-2 is bad")):
        with pytest.raises(ValueError, match=text):
            future.result(SOON)


def test_a_failure_leaves_the_committer_at_work() -> None:
    committer = BatchWriter(Book().commit)
    with pytest.raises(ValueError, match="is bad"):
        committer.submit(-1).result(SOON)
    assert committer.submit(1).result(SOON) == 2


def test_a_broken_connection_is_tried_once_more() -> None:
    book = Book()
    book.errors = [OperationalError("the connection is gone")]
    assert BatchWriter(book.commit).submit(1).result(SOON) == 2
    assert book.batches == [[1], [1]]


def test_a_database_that_stays_away_is_told_to_the_submitter() -> None:
    book = Book()
    book.errors = [OperationalError("away"), OperationalError("still away")]
    committer = BatchWriter(book.commit)
    with pytest.raises(OperationalError, match="still away"):
        committer.submit(1).result(SOON)
    assert committer.submit(2).result(SOON) == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_commit_that_answers_for_too_few_is_an_error_and_not_a_silence() -> None:
    committer: BatchWriter[int, int] = BatchWriter(lambda items: [])
    with pytest.raises(ValueError):
        committer.submit(1).result(1)
    with pytest.raises(ValueError):
        committer.submit(2).result(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_submitter_that_gave_up_stops_nobody_else() -> None:
    book = Book()
    committer = BatchWriter(book.commit)
    book.hold()
    committer.submit(0)
    assert book.entered.wait(SOON)
    given_up, other = committer.submit(1), committer.submit(2)
    given_up.cancel()
    book.release()
    assert other.result(1) == 4
    assert committer.submit(3).result(1) == 6


def test_a_batch_closes_as_soon_as_all_who_announced_work_are_in_it() -> None:
    book = Book()
    committer = BatchWriter(book.commit, linger=FOR_EVER)
    announced = threading.Barrier(3)

    def work(item: int) -> int:
        with committer.expecting():
            announced.wait(SOON)
            return committer.submit(item).result(SOON)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, [1, 2, 3])) == [2, 4, 6]
    assert [sorted(batch) for batch in book.batches] == [[1, 2, 3]]


def test_without_announcements_nobody_waits() -> None:
    assert BatchWriter(Book().commit, linger=FOR_EVER).submit(1).result(SOON) == 2


def test_a_batch_does_not_wait_longer_than_it_lingers() -> None:
    committer = BatchWriter(Book().commit, linger=0.01)
    with committer.expecting(), committer.expecting():
        assert committer.submit(1).result(SOON) == 2


def test_announced_work_that_fails_is_not_waited_for_afterwards() -> None:
    committer = BatchWriter(Book().commit, linger=FOR_EVER)
    with pytest.raises(RuntimeError), committer.expecting():
        raise RuntimeError("the look failed")
    with committer.expecting():
        assert committer.submit(1).result(SOON) == 2


def test_a_batch_closes_when_the_last_one_it_waits_for_leaves_without_an_item() -> None:
    committer = BatchWriter(Book().commit, linger=FOR_EVER)
    with committer.expecting():
        with committer.expecting():
            future = committer.submit(1)
        assert future.result(SOON) == 2


def test_many_threads_get_their_own_results() -> None:
    book, threads, each = Book(), 16, 40
    committer = BatchWriter(book.commit, largest=50)
    together = threading.Barrier(threads)

    def work(number: int) -> list[int]:
        together.wait(SOON)
        results = []
        for turn in range(each):
            with committer.expecting():
                results.append(committer.submit(number * each + turn).result(SOON))
        return results

    with ThreadPoolExecutor(threads) as pool:
        results = [value for values in pool.map(work, range(threads)) for value in values]
    assert results == [2 * item for item in range(threads * each)]
    assert sorted(item for batch in book.batches for item in batch) == list(range(threads * each))
    assert max(map(len, book.batches)) <= threads


def test_all_commits_happen_on_one_thread_that_is_no_submitters() -> None:
    seen: set[int] = set()

    def commit(items: Sequence[int]) -> Sequence[int]:
        seen.add(threading.get_ident())
        return items

    committer: BatchWriter[int, int] = BatchWriter(commit)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: committer.submit(item).result(SOON), range(20)))
    assert len(seen) == 1 and threading.get_ident() not in seen


def test_a_database_that_is_away_fails_a_whole_batch_at_once() -> None:
    """One by one each would wait for it anew."""
    book = Book()
    committer = BatchWriter(book.commit, linger=FOR_EVER)
    book.errors = [OperationalError("away"), OperationalError("still away")]
    with committer.expecting(), committer.expecting(), committer.expecting():
        waiting = [committer.submit(item) for item in (1, 2, 3)]
        for future in waiting:
            with pytest.raises(OperationalError, match="still away"):
                future.result(SOON)
    assert book.batches == [[1, 2, 3], [1, 2, 3]]
