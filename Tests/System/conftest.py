"""What every system test has: root, on failure the logs of its daemons, and a place among others that run side by side."""

import os
import sys
from pathlib import Path

import pytest

from lab import daemon

# What scripts/setup takes from PyPI.
sys.path.append(str(Path(__file__).resolve().parents[2] / ".build/python"))


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the system tests make network namespaces: run them as root", returncode=77)
    if not any((Path(place) / "kyber_py").is_dir() for place in sys.path):
        pytest.exit("kyber-py is missing: run `scripts/setup test`, which puts it into .build/python", returncode=69)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(config, items):
    """Side by side (`-n`), tests that share a lab stay together and in order; what takes longest begins first."""
    side_by_side = hasattr(config, "workerinput")
    if side_by_side:
        for item in items:
            if (place := _shared(item)):
                item.add_marker(pytest.mark.xdist_group(place))
    yield
    if side_by_side:
        items.sort(key=lambda item: not item.get_closest_marker("slow"))


def _shared(item):
    """Names what a test shares with others of its file: nothing, or fixtures of the file, each with its parameter.

    A slow one has its lab to itself, and nobody waits behind it.
    """
    if item.get_closest_marker("slow"):
        return None
    fixtures = item._fixtureinfo.name2fixturedefs
    names = sorted(name for name, definitions in fixtures.items() if definitions[-1].scope != "function")
    ours = [name for name in names if fixtures[name][-1].baseid.endswith(".py")]
    chosen = getattr(getattr(item, "callspec", None), "indices", {})
    return ours and " ".join([item.location[0], *(f"{name}-{chosen[name]}" for name in ours if name in chosen)])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    """A test is called what it is called when it runs alone, without the name of its group."""
    if hasattr(report, "node") and report.nodeid.rfind("@") > report.nodeid.rfind("]"):
        report.nodeid = report.nodeid.rpartition("@")[0]


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
