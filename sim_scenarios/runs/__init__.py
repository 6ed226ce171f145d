"""From a scenario to the packets of its steps, and what must come of them.

- ``bindings``: What a depot's configuration lends to a run: which sensor of which gateway carries what
- ``delivery``: When packets arrive: late, often, not at all, or in a mixed order
- ``expectations``: What a step expects of the product, with every number settled, and whether it passed
- ``library``: The files of this folder: presets and controllers' tables
- ``missing``: What a depot's configuration lacks for what a scenario drives, and what a person does about it
- ``offline_check``: Checks a scenario's expectations against what it sends itself, without a product
- ``projection``: From the simulated site to generic sensor packets, through the controller's table and the depot's
  configuration
- ``run_plan``: The plan of a run: its steps, which of them are sent together, and when the fail-safe is due by the
  scenario
- ``sample``: A depot with everything configured, for trying scenarios out where no product runs
- ``scenario``: Reads a scenario: its form by the language, then what only the whole of it can show
- ``simulation``: The simulated site on its virtual clock: one state after the other, from the scenario and its seed
  alone
- ``stamps``: From virtual to real time: when a step is due, and which timestamp its packets have
- ``steps``: A scenario as the list of its steps: what each sends, and what must come of it
"""
