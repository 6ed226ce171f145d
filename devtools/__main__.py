"""`python -m devtools`, which `./dev` becomes: the product's commands and those for working on it."""

from __future__ import annotations

from cli.__main__ import main
from devtools.app import app

if __name__ == "__main__":
    main(app)
