"""Until when a request may start after a proof of membership."""

from consumer.core.lease import Lease


def test_without_a_proof_nothing_may_start() -> None:
    assert not Lease(30.0).holds(0.0)


def test_i5_a_proof_is_good_for_the_lease_from_when_the_commit_was_sent() -> None:
    """Not from the answer: the group may have counted the member out while it was on its way."""
    lease = Lease(30.0)
    lease.proven(sent_at=100.0)
    assert lease.end == 130.0
    assert lease.holds(129.9)
    assert not lease.holds(130.0)


def test_an_older_proof_does_not_shorten_a_newer_one() -> None:
    lease = Lease(30.0)
    lease.proven(110.0)
    lease.proven(100.0)
    assert lease.end == 140.0


def test_the_membership_is_proven_until_the_lease_ends() -> None:
    lease = Lease(30.0)
    lease.proven(100.0)
    assert lease.is_proven(129.9)
    assert not lease.is_proven(130.0)


def test_i5_a_void_lease_ends_at_once() -> None:
    lease = Lease(30.0)
    lease.proven(100.0)
    lease.void(101.0)
    assert not lease.holds(101.0)


def test_i5_a_commit_that_was_sent_before_the_loss_proves_nothing() -> None:
    lease = Lease(30.0)
    lease.void(101.0)
    for sent_at in (100.0, 101.0):
        lease.proven(sent_at)
        assert not lease.holds(101.5)
    lease.proven(101.1)
    assert lease.holds(101.5)


def test_a_shorter_session_of_the_broker_counts_at_once() -> None:
    lease = Lease(30.0)
    lease.proven(100.0)
    lease.agree(10.0)
    assert lease.end == 110.0
    lease.proven(101.0)
    assert lease.end == 111.0


def test_a_longer_session_of_the_broker_counts_from_the_next_proof_on() -> None:
    lease = Lease(30.0)
    lease.proven(100.0)
    lease.agree(60.0)
    assert lease.end == 130.0
    lease.proven(101.0)
    assert lease.end == 161.0


def test_i5_no_request_starts_before_the_session_is_known() -> None:
    lease = Lease(30.0, is_agreed=False)
    lease.proven(100.0)
    assert not lease.holds(101.0)
    lease.agree(10.0)
    assert lease.holds(101.0)
    assert not lease.holds(110.0)
