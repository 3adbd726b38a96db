"""The tests of the package use the laboratory of the system tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "System"))
