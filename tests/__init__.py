"""The tests, by the same wings as the product.

- ``base``, ``access``, ``edge``, ``site``, ``provisioning``, ``monitoring``, ``controllers``, ``simulation``: on a real
  PostgreSQL and a real Temporal server, through the store and the API
- ``workflows``: what all workflows have in common: replay, changes of one that runs, retries of steps
- ``telemetry``: packet ingest by HTTP and MQTT, under load and with what is large
- ``domain``: rules by themselves, by wing as well; ``scenarios``: the simulation by itself
- ``pages``: the operator pages in a browser; ``clients``: outside tools that read the API's document
- ``runtime``: embedded servers and who may read their files; ``commands``: the command line
- ``project``: the checkout, its tools, the deployment
- ``factories``: depots, fleets, packets and runs that tests are made of; ``helpers``: servers, processes, answers
- ``histories``: what replay must keep true, recorded by ``tests.record_histories``

No test module imports another one: what two of them share stands in ``factories`` or ``helpers``.
"""
