"""How tests are run: `./dev test`, and plugins of pytest for it and for `./dev acceptance`.

- ``acceptance_plugin``: A pytest plugin that writes down which test carries which acceptance criterion, and how it
  ended
- ``coverage_floors``: What share of each package's statements a full test run must execute: `./dev test --coverage`
- ``fast_tests``: A pytest plugin that runs the fast tests alone: those that start no server, no browser and no other
  process
- ``progress``: A pytest plugin that says at once what failed or took long, and in which minute of the run
- ``run_tests``: `./dev test`: runs the tests
"""
