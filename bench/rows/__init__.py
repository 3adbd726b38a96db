"""The rows of `bench/thin.py`, in the order of its table."""

from . import accuracy, beside, goodput, moving, peers, processor, runs, voice

ROWS = {row.name: row for row in (
    beside.ROW, moving.ROW, voice.ROW, accuracy.ROW, goodput.ROW, goodput.BESIDE, peers.ROW, runs.ROW, processor.ROW)}
