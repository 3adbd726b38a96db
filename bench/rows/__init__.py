"""The rows of `bench/thin.py`, in the order of its table."""

from . import accuracy, beside, foreign, goodput, history, loss, moving, peers, processor, runs, short, voice

ROWS = {row.name: row for row in (
    beside.ROW, moving.ROW, voice.ROW, accuracy.ROW, goodput.ROW, goodput.BESIDE, peers.ROW, runs.ROW, processor.ROW,
    history.ROW, history.INTERLEAVED, loss.ROW, loss.UNSHAPED, short.TRANSFERS, short.DATAGRAMS, foreign.ROW)}
