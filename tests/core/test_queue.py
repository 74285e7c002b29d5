from collections import Counter
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from refresher.core.queue import Entry, Queue
from refresher.core.settings import Limits
from tests.core.builders import NOW


def entry(name, host="h", minutes=0):
    return Entry(NOW + timedelta(minutes=minutes), name, host)


def take_all(queue):
    return list(iter(queue.take, None))


def test_the_earliest_expiry_goes_first():
    queue = Queue(Limits(per_host=9, total=16))
    for minutes in (3, 1, 2):
        queue.offer(entry(f"in-{minutes}", minutes=minutes))
    assert take_all(queue) == ["in-1", "in-2", "in-3"]


def test_a_job_is_queued_or_running_once():
    queue = Queue(Limits())
    queue.offer(entry("a"))
    queue.offer(entry("a"))
    assert take_all(queue) == ["a"]
    queue.offer(entry("a"))
    assert take_all(queue) == []
    queue.done("a", host_answered=True)
    queue.offer(entry("a"))
    assert take_all(queue) == ["a"]


def test_a_withdrawn_job_does_not_run():
    queue = Queue(Limits())
    queue.offer(entry("a"))
    queue.withdraw("a")
    assert "a" not in queue
    assert take_all(queue) == []


def test_a_host_that_failed_gets_one_slot_until_it_answers():
    queue = Queue(Limits(per_host=4, total=16))
    for number in range(8):
        queue.offer(entry(f"j{number}", minutes=number))
    assert len(take_all(queue)) == 4
    for number in range(4):
        queue.done(f"j{number}", host_answered=False)
    assert take_all(queue) == ["j4"]
    queue.done("j4", host_answered=True)
    assert take_all(queue) == ["j5", "j6", "j7"]


def test_four_bad_hosts_never_fill_all_slots():
    queue = Queue(Limits(per_host=4, total=16))
    for host in range(4):
        for number in range(9):
            queue.offer(entry(f"bad-{host}-{number}", host=f"bad-{host}"))
    hung = take_all(queue)
    queue.offer(entry("good", host="good", minutes=60))
    assert len(hung) < 16
    assert take_all(queue) == ["good"]


def test_a_host_that_was_not_asked_stays_what_it_was():
    queue = Queue(Limits(per_host=4, total=16))
    for number in range(6):
        queue.offer(entry(f"j{number}", minutes=number))
    for name in take_all(queue):
        queue.done(name, host_answered=False)
    assert take_all(queue) == ["j4"]
    queue.done("j4", host_answered=None)
    assert take_all(queue) == ["j5"], "one slot still"


def test_a_withdrawn_job_stands_in_nobodys_way():
    queue = Queue(Limits(per_host=1, total=4))
    for name in "abc":
        queue.offer(entry(name))
    assert take_all(queue) == ["a"]
    queue.withdraw("b")
    queue.withdraw("nobody")
    queue.done("a", host_answered=True)
    assert take_all(queue) == ["c"]


def test_a_job_that_was_withdrawn_can_be_offered_again_elsewhere():
    queue = Queue(Limits(per_host=1, total=4))
    for name in "abc":
        queue.offer(entry(name))
    take_all(queue)
    queue.withdraw("b")
    queue.offer(entry("b", host="elsewhere"))
    assert take_all(queue) == ["b"]


def test_behind_many_jobs_of_hosts_that_hang_every_other_host_goes_on():
    queue = Queue(Limits(per_host=4, total=16))
    for host in range(4):
        for number in range(10):
            queue.offer(entry(f"bad-{host}-{number}", host=f"bad-{host}"))
    for number in range(9):
        queue.offer(entry(f"good-{number}", host="good", minutes=60))
    hung = take_all(queue)
    ran = [name for name in hung if name.startswith("good")]
    while len(ran) < 9:
        queue.done(ran[-1], host_answered=True)
        ran += take_all(queue)
    assert all(name.startswith("good") for name in ran)


class QueueMachine(RuleBasedStateMachine):
    """Whatever is offered runs, once at a time, under the caps; nothing is lost."""

    running = Bundle("running")

    def __init__(self):
        super().__init__()
        self.limits = Limits(per_host=3, total=7)
        self.queue = Queue(self.limits)
        self.offered, self.at_hosts, self.serial = set(), Counter(), 0

    @rule(host=st.sampled_from("abcd"), minutes=st.integers(0, 50))
    def offer(self, host, minutes):
        self.serial += 1
        name = f"{host}{self.serial}"
        self.queue.offer(entry(name, host, minutes))
        self.offered.add(name)

    @rule(target=running)
    def take(self):
        name = self.queue.take()
        if name is not None:
            self.offered.remove(name)
            self.at_hosts[name[0]] += 1
        return name

    @rule(data=st.data())
    def withdraw(self, data):
        name = data.draw(st.sampled_from([*sorted(self.offered), "nobody"]))
        self.queue.withdraw(name)
        self.offered.discard(name)

    @rule(name=consumes(running), answered=st.sampled_from([True, False, None]))
    def done(self, name, answered):
        if name is not None:
            self.queue.done(name, host_answered=answered)
            self.at_hosts[name[0]] -= 1

    @invariant()
    def caps_hold(self):
        assert sum(self.at_hosts.values()) <= self.limits.total
        assert max(self.at_hosts.values(), default=0) <= self.limits.per_host
        assert len(self.queue) == len(self.offered)

    def teardown(self):
        left = [host for host, count in self.at_hosts.items() for _ in range(count)]
        names = list(self.queue._running)
        assert len(left) == len(names)
        for _ in range(len(self.offered) * 2 + len(names) + 1):
            for name in names:
                self.queue.done(name, host_answered=True)
            names = take_all(self.queue)
            self.offered -= set(names)
        assert not self.offered, "every job that was offered ran"


TestQueueMachine = QueueMachine.TestCase
