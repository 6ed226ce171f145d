"""The connection to Temporal, configured by Temporal's own environment variables and files."""

from __future__ import annotations

import http.client
import logging
from functools import cache

from temporalio import activity, workflow
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode

from runtime.observing.traces import client_interceptors
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.secrets.keys import PayloadKeys
from runtime.secrets.payloads import data_converter
from runtime.servers.processes import free_port

_PORT_TRIES = 5
_METRICS_WITHIN = 2.0
"""Seconds."""
NO_KEYS = PayloadKeys()
"""Payloads stay plain."""


class MissingSearchAttributesError(Exception):
    """The namespace lacks search attributes, and this client may not register them."""


async def connect(keys: PayloadKeys = NO_KEYS, *, lazy: bool = False) -> Client:
    """Connect to the Temporal that the environment names (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, …).

    With ``keys`` payloads are encrypted. A lazy connection is made with the first call, so that a process can start
    while Temporal is down.

    Raises:
        RuntimeError: Temporal cannot be reached, unless ``lazy``.

    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    given = {
        "data_converter": data_converter(keys),
        "lazy": lazy,
        "runtime": _runtime()[0],
        "interceptors": client_interceptors(),
    }
    return await Client.connect(**config, **given)  # pyright: ignore[reportArgumentType, reportCallIssue]


@cache
def _runtime() -> tuple[Runtime, int]:
    """Temporal's own threads, of which a process has one set; what they say goes into this process's log.

    With the port of this machine's loopback on which they serve their metrics.
    """
    # The ids are fields of the line, so they need not be in its words.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    said = LogForwardingConfig(
        logging.getLogger("temporal"),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    logging_config = LoggingConfig(levels, forwarding=said)
    for _ in range(_PORT_TRIES - 1):
        port = free_port()
        try:
            return Runtime(telemetry=TelemetryConfig(logging=logging_config, metrics=_exporter(port))), port
        except (RuntimeError, ValueError):
            continue  # Somebody else has taken the port meanwhile.
    port = free_port()
    return Runtime(telemetry=TelemetryConfig(logging=logging_config, metrics=_exporter(port))), port


def _exporter(port: int) -> PrometheusConfig:
    return PrometheusConfig(
        f"127.0.0.1:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )


def temporal_metrics() -> bytes:
    """What Temporal's SDK tells Prometheus of this process; nothing where it does not answer. It waits for that."""
    if not _runtime.cache_info().currsize:
        return b""
    connection = http.client.HTTPConnection("127.0.0.1", _runtime()[1], timeout=_METRICS_WITHIN)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.read() if answer.status == http.client.OK else b""
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


async def ensure_search_attributes(client: Client) -> None:
    """Register the search attributes that are missing. Running it again changes nothing.

    Raises:
        MissingSearchAttributesError: where the service does not let this client register them (Temporal
            Cloud does not): the message says what to register by hand.

    """
    try:
        present = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in present.custom_attributes}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace,
                    search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
                )
            )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            wanted = ", ".join(f"{name} ({kind})" for name, kind in SEARCH_ATTRIBUTES.items())
            raise MissingSearchAttributesError(
                f"Register these search attributes on namespace {client.namespace!r} and start again: {wanted}."
            ) from error
        raise
