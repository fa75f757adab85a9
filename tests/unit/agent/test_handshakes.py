"""The age of a handshake when the wall clock cannot be believed."""

from plantgate_agent.handshakes import HandshakeAge

YEAR = 365 * 86400.0


def test_none_before_the_first():
    assert HandshakeAge().observe(0, 1e9, 5.0) is None


def test_a_change_counts_from_when_it_was_seen():
    age = HandshakeAge()
    age.observe(0, 1e9, 0.0)
    assert age.observe(int(1e9), 1e9 + 2, 10.0) == 2.0
    assert age.observe(int(1e9), 1e9 + 7, 15.0) == 7.0
    assert age.observe(int(1e9) + 120, 1e9 + 121, 130.0) == 0.0


def test_a_clock_that_jumps_by_years_changes_nothing():
    age = HandshakeAge()
    age.observe(100, 100.0, 0.0)
    assert age.observe(100, 56 * YEAR, 20.0) == 20.0
    assert age.observe(100, 0.0, 25.0) == 25.0


def test_an_adopted_handshake_is_as_old_as_a_plausible_clock_says():
    assert HandshakeAge().observe(1000, 1100.0, 5.0) == 100.0
    assert HandshakeAge().observe(1000, 1000 + YEAR, 5.0) == 0.0
    assert HandshakeAge().observe(2000, 1000.0, 5.0) == 0.0


def test_a_new_interface_starts_anew():
    age = HandshakeAge()
    age.observe(1000, 1001.0, 1.0)
    assert age.observe(0, 1002.0, 2.0) is None
