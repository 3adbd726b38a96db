"""What every system test has: root, and on failure the logs of its daemons."""

import os

import pytest

from lab import daemon


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the system tests make network namespaces: run them as root", returncode=77)


@pytest.fixture(autouse=True)
def _logs_of_this_test_only(request):
    yield
    daemon.running[:] = [one for one in daemon.running if one.process.poll() is None]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for one in daemon.running:
            report.sections.append((f"log of {one}", one.log[-4000:]))
