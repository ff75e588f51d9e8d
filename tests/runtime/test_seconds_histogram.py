"""What took how long is counted in the class it belongs to, and in every larger one."""

from __future__ import annotations

from bus.runtime.seconds_histogram import SecondsCounts, SecondsHistogram


def test_each_thing_counts_in_its_class_bounds_included() -> None:
    histogram = SecondsHistogram((0.5, 1.0))
    for seconds in (0.25, 0.5, 0.75, 8.0):
        histogram.count(seconds)

    assert histogram.read() == SecondsCounts((0.5, 1.0), (2, 3, 4), 9.5)


def test_a_clock_that_was_set_back_counts_as_no_time() -> None:
    histogram = SecondsHistogram((0.5,))

    histogram.count(-3600.0)

    assert histogram.read() == SecondsCounts((0.5,), (1, 1), 0.0)
