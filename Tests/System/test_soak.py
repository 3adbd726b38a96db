"""Half a minute of what `bench/soak.py` does for half an hour."""

import pytest

from lab import soak


@pytest.mark.few
@pytest.mark.slow
def test_no_byte_is_wrong_and_no_stream_stuck_whatever_the_path_does():
    report = soak.soak(24, seed=7, each=2, most_away=0)
    assert report.wrong == [] and report.stuck == []
    assert min(report.received.values()) > 200_000, report.received
    assert {one.event.name for one in report.recoveries} >= {"away"}
