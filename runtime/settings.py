"""The product's settings, from the environment. Everything has a default that works on one machine."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.base.actor import Actor
from runtime.logs import LogFormat

MICROGRID_CARD = "new-microgrid-fields-load-chart"
"""The feature flag of the Microgrid card on the load page (COR-9.16)."""


class Settings(BaseSettings):
    """Settings of the API, the worker and the command line.

    Temporal's address, namespace, TLS and API key are not here: they are Temporal's own environment
    configuration (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, …).
    """

    model_config = SettingsConfigDict(env_prefix="MANAGE_", populate_by_name=True, hide_input_in_errors=True)

    database_url: SecretStr = Field(default=SecretStr(""), validation_alias="DATABASE_URL")
    """``postgresql://user:password@host/database``, or ``postgresql:///database?host=/socket/folder``."""
    migration_database_url: SecretStr = Field(default=SecretStr(""), validation_alias="MIGRATION_DATABASE_URL")
    """The same database as a role that may change the schema; empty: ``DATABASE_URL`` may."""
    task_queue: str = "depot-microgrid"
    """The Temporal task queue that the API writes to and the worker reads."""
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_url: str = "http://127.0.0.1:8000"
    """Where the command line finds the API."""
    instance_id: str = ""
    """What `./dev up` calls the API that it started; `/healthz` says it, so that commands know that API from others."""
    temporal_ui_url: str = ""
    """Base address of Temporal's UI, for links; empty: no links are shown."""
    local_networks: list[IPv4Network | IPv6Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    """Networks whose callers act as the local administrator; everyone else is refused."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Host names under which the API may be addressed, against DNS rebinding."""
    metrics_networks: list[IPv4Network | IPv6Network] = []
    """Networks whose callers may read ``/metrics``, under any host name, and nothing else: Prometheus'."""
    sync_timeout_seconds: float = 30.0
    """How long a Resync waits for its result before it answers ``SYNC_TIMED_OUT``."""
    database_pool_size: int = 10
    """Connections a process keeps to PostgreSQL."""
    door_max_group: int = Field(default=500, ge=1)
    """Packets that an API process takes in one transaction at most; an array that is larger stays whole."""
    door_max_waiting: int = Field(default=10_000, ge=1)
    """Packets that may wait for a transaction in an API process; beyond, it answers ``TOO_MANY_PACKETS``."""
    log_format: LogFormat = "console"
    """``console`` for people, ``json`` for machines."""
    mqtt_url: SecretStr = SecretStr("")
    """The broker that brings packets to the worker: ``mqtt://user:password@host:1883``, ``mqtts://…`` with TLS.
    Empty: packets come by HTTP alone."""
    mqtt_topic: str = "manage/packets/#"
    """The topic filter that packets are published under; ``$share/GROUP/FILTER`` for several workers at once."""
    mqtt_sender_is_gateway: bool = False
    """Whether the topic's level that says who sent a message (where ``mqtt_topic`` has its first wildcard) is the id of
    the gateway, so that packets of another gateway are refused with ``FOREIGN_GATEWAY``."""
    mqtt_answers: str = "manage/answers"
    """Answers go to this topic with the sender's level behind it, and below; nowhere else."""
    mqtt_client_id: str = "manage-packets"
    """The broker keeps a session under this name, so it stays the same, and no two workers have the same."""
    mqtt_ca: str = ""
    """A file with the certificate authority of the broker; empty: those that the system trusts."""
    history_months: int = Field(default=25, ge=2, le=1200)
    """Full months of packets and events that are kept before this one; older ones are dropped."""
    drift_repair: bool = True
    """Whether the hourly drift audit asks for a sync of what it finds, or only reports it."""
    flags: Annotated[dict[str, bool], NoDecode] = {MICROGRID_CARD: True}
    """Feature flags by name: ``{"a": true, "b": false}``, or as a list of those that are on: ``a,b``; empty: none."""
    openfeature_provider: str = ""
    """Who answers for feature flags: an OpenFeature provider's factory as ``module:name``, called without arguments.
    Empty: ``flags`` does."""
    metrics_port: int = 0
    """Where the worker serves Prometheus metrics; 0: nowhere. The API has ``/metrics``."""

    @field_validator("mqtt_client_id")
    @classmethod
    def _check_client_id(cls, given: str) -> str:
        # It names the actor of what comes from the broker.
        Actor(f"mqtt:{given}")
        return given

    @field_validator("flags", mode="before")
    @classmethod
    def _read_flags(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("{"):
            return json.loads(given)
        return {name.strip(): True for name in given.split(",") if name.strip()}


def load_settings() -> Settings:
    """Read the settings afresh from the environment."""
    return Settings()
