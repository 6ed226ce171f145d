"""Temporal, for commands that ask it themselves: the one that is configured, else that of the running `./dev up`."""

from __future__ import annotations

import os

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from cli.errors import CommandFailedError
from cli.place import running_places
from runtime.settings import load_settings
from runtime.temporal import connect


def temporal_is_configured() -> bool:
    """Whether the environment names a Temporal server: a file in the home folder alone does not count."""
    if os.environ.get("TEMPORAL_ADDRESS"):
        return True
    return bool(os.environ.get("TEMPORAL_CONFIG_FILE")) and "target_host" in ClientConfig.load_client_connect_config()


async def connect_to_temporal() -> Client:
    """Connect to the Temporal that the environment names, else to that of the running `./dev up` of this folder.

    Raises:
        CommandFailedError: none runs, or more than one, so that nobody knows which is meant.
        RuntimeError: it cannot be reached.

    """
    if not temporal_is_configured():
        addresses = [running.temporal_address for _, running in running_places()]
        if len(addresses) != 1 or not addresses[0]:
            raise CommandFailedError(
                "No Temporal is named, and not exactly one `./dev up` of this folder runs with its own. Name one with "
                "TEMPORAL_ADDRESS."
            )
        os.environ["TEMPORAL_ADDRESS"] = addresses[0]
    return await connect(load_settings().keys_of_payloads)
