"""`./dev fleet`: makes a legacy fleet to try the product with."""

from __future__ import annotations

import os
import sys

from fleet.make_fleet import lines


def run_fleet(depots: int, seed: int, *, flaws: bool) -> int:
    """Write the fleet to standard output; stop quietly where nobody reads on."""
    try:
        for line in lines(depots, seed, flaws):
            sys.stdout.buffer.write(line.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has seen enough. Python must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
