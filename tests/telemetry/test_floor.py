"""The baseline that packet ingest is measured against writes the rows that the product writes."""

from __future__ import annotations

import subprocess
import sys

from cli.place import ROOT


def test_the_baseline_writes_the_rows_of_the_product(database_url: str) -> None:
    compared = subprocess.run(
        [sys.executable, "-m", "devtools.bench.baselines.same_rows", database_url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (compared.stdout, compared.stderr, compared.returncode) == ("", "", 0)
