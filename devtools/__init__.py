"""What the product is worked on with: checks, tests, benchmarks, what is made from the code. It is not in the image.

`app.py` names the commands and what each takes, beside those of the product (`cli/app.py`). The product never imports
from here; the import contracts hold it.

- ``acceptance``: `./dev acceptance`: the acceptance criteria with the tests behind each
- ``app``: The commands of `./dev` for working on the product. What a command needs is imported when it is called
- ``assets``: Installs what the pages take from npm, and lays the files that are served into ``api/ui/static/vendor``
- ``bench``: Measurements: everything that is compared runs side by side in one run, so the ratios hold on any machine
- ``chaos``: `./dev chaos`: the real product under traffic and faults, and a checker that shares no code with it
- ``check``: `./dev check`: everything that can be said about the code without running the product
- ``commit_subjects``: The rule of commit subjects: `python -m devtools.commit_subjects FILE` checks a message before
  it is committed
- ``criteria``: The acceptance criteria as docs/acceptance.md lists them, and what the tests say about them
- ``generate``: `./dev generate`: writes anew the committed files that are made from the code
- ``legacy_fleet``: A legacy fleet of any size, made inside the database: for measuring and for tests
- ``system_packages``: Programs of the operating system that tests need and no package registry has: a broker, a
  browser, a proxy
- ``testing``: How tests are run: `./dev test`, and plugins of pytest for it and for `./dev acceptance`
"""
