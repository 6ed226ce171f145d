"""The rule of commit subjects: `python -m devtools.commit_subjects FILE` checks a message before it is committed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from cli.place import ROOT

LONGEST = 72
"""Characters."""
_FORM = re.compile(r"[A-Z][\w ,./-]*: \S")
_RELEASE = re.compile(r"^## \[\d+\.\d+\.\d+\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def fault_of(subject: str) -> str | None:
    """Say what is wrong with a subject; None where nothing is."""
    if subject.startswith(("fixup! ", "squash! ")):
        return None
    if len(subject) > LONGEST:
        return f"{len(subject)} characters; {LONGEST} are the limit"
    if not _FORM.match(subject):
        return 'it names no area: "Packets: a number that no double holds is refused"'
    return None


def subjects_since_release() -> list[str]:
    """The subjects written since the newest release of CHANGELOG.md, as far as this clone reaches; none without Git."""
    released = _RELEASE.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    command = ["git", "-C", str(ROOT), "log", "--no-merges", "--format=%as %s"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return []
    written = (line.split(" ", 1) for line in done.stdout.splitlines())
    return [subject for day, subject in written if released is None or day > released[1]]


def main() -> int:
    """Judge the message in the file that is named; 0 when its subject is right."""
    subject = Path(sys.argv[1]).read_text(encoding="utf-8").split("\n", 1)[0]
    fault = fault_of(subject)
    if fault is not None:
        sys.stderr.write(f"The subject of the commit: {fault}.\n")
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
