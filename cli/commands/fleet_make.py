"""`./dev fleet`: makes a legacy fleet to try the product with."""

from __future__ import annotations

import sys

from cli.console import drop_output
from fleet.make_fleet import lines


def run_fleet(depots: int, seed: int, *, flaws: bool) -> int:
    """Write the fleet to standard output; that its reader has seen enough is no failure."""
    try:
        for line in lines(depots, seed, flaws):
            sys.stdout.buffer.write(line.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        drop_output()
    return 0
