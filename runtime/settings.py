"""The product's settings, from the environment. Everything has a default that works on one machine."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from domain.access.people import read_named
from domain.base.actor import Actor
from runtime.logs import LogFormat
from runtime.secrets.files import SecretFiles
from runtime.secrets.keys import PayloadKeys, read_payload_keys
from runtime.workers.queues import EVERY_WORK, Work

MICROGRID_CARD = "new-microgrid-fields-load-chart"
"""The feature flag of the Microgrid card on the load page (COR-9.16)."""


MIN_TOKEN = 16
"""Characters of a token that somebody chose."""
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a bearer token may consist of (RFC 6750)."""


class Settings(BaseSettings):
    """Settings of the API, the worker and the command line.

    Temporal's address, namespace, TLS and API key are not here: they are Temporal's own environment
    configuration (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, …).

    Every ``SecretStr`` may stand in a file that the variable with ``_FILE`` behind its name names.
    """

    model_config = SettingsConfigDict(env_prefix="MANAGE_", populate_by_name=True, hide_input_in_errors=True)

    database_url: SecretStr = Field(default=SecretStr(""), validation_alias="DATABASE_URL")
    """``postgresql://user:password@host/database``, or ``postgresql:///database?host=/socket/folder``."""
    migration_database_url: SecretStr = Field(default=SecretStr(""), validation_alias="MIGRATION_DATABASE_URL")
    """The same database as a role that may change the schema; empty: ``DATABASE_URL`` may."""
    task_queue: str = "depot-microgrid"
    """The Temporal task queue that the API writes to and the worker reads; the queues of jobs and of the simulation are
    named after it."""
    worker_queues: Annotated[frozenset[Work], NoDecode] = Field(default=EVERY_WORK, min_length=1)
    """The kinds of work that a process of the worker does: ``syncs,jobs,simulation`` or fewer."""
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_url: str = "http://127.0.0.1:8000"
    """Where the command line finds the API."""
    instance_id: str = ""
    """What `./dev up` calls the API that it started; `/healthz` says it, so that commands know that API from others."""
    temporal_ui_url: str = ""
    """Base address of Temporal's UI, for links; empty: no links are shown."""
    local_networks: list[IPv4Network | IPv6Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    """Networks whose callers act as the local administrator, while no OpenID provider is configured; everyone else is
    refused."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Host names under which the API may be addressed, against DNS rebinding."""
    metrics_networks: list[IPv4Network | IPv6Network] = []
    """Networks whose callers may read ``/metrics``, under any host name, and nothing else: Prometheus'."""
    oidc_issuer: str = ""
    """The OpenID provider's issuer, exactly as it names itself. Empty: nobody signs in, and callers on
    ``local_networks`` are the local administrator."""
    oidc_client_id: str = ""
    """What the provider calls this product."""
    oidc_client_secret: SecretStr = SecretStr("")
    """What the product proves to the provider that it is the product with."""
    oidc_scopes: str = "openid profile email"
    """The scopes that are asked for when somebody signs in; ``openid`` is one of them."""
    oidc_groups_claim: str = "groups"
    """The claim that has the groups of whoever signs in, as a list of texts; grants may be to a group."""
    oidc_audience: str = ""
    """What access tokens for the product's API name as their audience. Empty: ``public_url`` with ``/api``."""
    oidc_device_client_id: str = ""
    """What the provider calls the command line: a public client that may use the device flow. Empty: `./dev login` is
    refused."""
    oidc_device_scopes: str = ""
    """The scopes that `./dev login` asks for. Empty: ``oidc_scopes``."""
    public_url: str = ""
    """Where browsers find the product: ``https://grid.example``, without a path. Its host is an allowed one."""
    administrators: list[str] = []
    """Who is administrator of all depots without a grant, so that there is a first one: ``sub:SUB``, ``email:ADDRESS``,
    which the provider has verified, or ``group:NAME``."""
    session_idle_minutes: int = Field(default=60, ge=1)
    """How long a session lasts in which nobody does anything."""
    session_hours: int = Field(default=12, ge=1)
    """How long a session lasts at most."""
    proxy_networks: list[IPv4Network | IPv6Network] = []
    """Networks of the reverse proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    client_certificate_header: str = ""
    """The header in which a reverse proxy names the client certificate that it has checked; empty: none does."""
    client_certificate_networks: list[IPv4Network | IPv6Network] = []
    """Networks of the reverse proxies whose ``client_certificate_header`` is believed."""
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
    mqtt_accounts: str = ""
    """A folder in which the worker keeps the accounts and rules of a mosquitto, one account for each secret of a
    gateway. The topic's level is the gateway's id then. Empty: the broker's accounts are made by others."""
    mqtt_answers: str = "manage/answers"
    """Answers go to this topic with the sender's level behind it, and below; nowhere else."""
    mqtt_client_id: str = "manage-packets"
    """The broker keeps a session under this name, so it stays the same, and no two workers have the same."""
    mqtt_ca: str = ""
    """A file with the certificate authority of the broker; empty: those that the system trusts."""
    payload_keys: SecretStr = SecretStr("")
    """Keys that Temporal's payloads are encrypted with: ``ID:KEY`` pairs, each key 32 bytes in Base64. The first
    encrypts, all decrypt. Empty: payloads are plain."""
    metrics_token: SecretStr = SecretStr("")
    """With it as a bearer token, ``/metrics`` of API and worker may be read from anywhere; empty: there is none."""
    history_months: int = Field(default=25, ge=2, le=1200)
    """Full months of packets and events that are kept before this one; older ones are dropped."""
    rollup_months: int = Field(default=120, ge=2, le=1200)
    """Full months of rollups by quarter of an hour and day that are kept before this one; never fewer than of packets.
    """
    journal_months: int = Field(default=84, ge=12, le=1200)
    """Full months of the journal that are kept before this one; older ones are dropped."""
    drift_repair: bool = True
    """Whether the hourly drift audit asks for a sync of what it finds, or only reports it."""
    flags: Annotated[dict[str, bool], NoDecode] = {MICROGRID_CARD: True}
    """Feature flags by name: ``{"a": true, "b": false}``, or as a list of those that are on: ``a,b``; empty: none."""
    openfeature_provider: str = ""
    """Who answers for feature flags: an OpenFeature provider's factory as ``module:name``, called without arguments.
    Empty: ``flags`` does."""
    metrics_host: str = "127.0.0.1"
    """The address on which the worker serves Prometheus metrics."""
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    """Its port; 0: nowhere. The API has ``/metrics``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the base's name)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the base's name)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the files of secrets before the environment, whose variables for them are then empty."""
        return init_settings, SecretFiles(settings_cls, of_lines=frozenset({"payload_keys"})), env_settings

    @property
    def people_sign_in(self) -> bool:
        """Whether an OpenID provider is configured, so that nobody acts without a proof of who they are."""
        return bool(self.oidc_issuer)

    @property
    def api_audience(self) -> str:
        """For whom an access token was made that is valid here; empty: no provider is configured."""
        return self.oidc_audience or (f"{self.public_url}/api" if self.public_url else "")

    @property
    def public_host(self) -> str:
        """The host of ``public_url``, as a ``Host`` header names it, without the port; empty: there is none."""
        return (urlsplit(self.public_url).hostname or "") if self.public_url else ""

    @property
    def temporal_ui_origin(self) -> str:
        """The origin of ``temporal_ui_url``, as browsers write it; empty: there is none."""
        parts = urlsplit(self.temporal_ui_url)
        return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""

    @field_validator("oidc_issuer", "public_url")
    @classmethod
    def _check_address(cls, given: str) -> str:
        parts = urlsplit(given)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        if given and not (parts.hostname and safe):
            raise ValueError("It begins with https://; http:// is enough for a loopback address alone.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("It has no user, query or fragment.")
        return given

    @field_validator("public_url")
    @classmethod
    def _check_origin(cls, given: str) -> str:
        if urlsplit(given).path not in ("", "/"):
            raise ValueError("It has no path: the product is served at the root of its host.")
        parts = urlsplit(given)
        if parts.port and parts.port == {"https": 443, "http": 80}.get(parts.scheme):
            # Browsers leave it out, where they name an origin.
            given = f"{parts.scheme}://{parts.netloc.rpartition(':')[0]}"
        return given.rstrip("/")

    @model_validator(mode="after")
    def _check_audience(self) -> Self:
        if self.oidc_audience and self.oidc_audience == self.oidc_client_id:
            raise ValueError(
                "MANAGE_OIDC_AUDIENCE is not MANAGE_OIDC_CLIENT_ID, for which the provider makes other tokens."
            )
        return self

    @field_validator("administrators")
    @classmethod
    def _check_administrators(cls, given: list[str]) -> list[str]:
        return [read_named(each) for each in given]

    @field_validator("oidc_scopes")
    @classmethod
    def _check_scopes(cls, given: str) -> str:
        if "openid" not in given.split():
            raise ValueError("One of the scopes is `openid`.")
        return given

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        needed = {
            "MANAGE_OIDC_ISSUER": self.oidc_issuer,
            "MANAGE_OIDC_CLIENT_ID": self.oidc_client_id,
            "MANAGE_OIDC_CLIENT_SECRET": self.oidc_client_secret.get_secret_value(),
            "MANAGE_PUBLIC_URL": self.public_url,
        }
        missing = [name for name, value in needed.items() if not value]
        if 0 < len(missing) < len(needed):
            raise ValueError(f"An OpenID provider needs all four of its settings; missing: {', '.join(missing)}.")
        return self

    @property
    def needs_gateway_secrets(self) -> bool:
        """Whether packets of a gateway that has no secret are refused: where nobody is believed unasked, and no reverse
        proxy has checked the gateway's certificate.
        """
        return bool(self.oidc_issuer) and not self.client_certificate_header

    @property
    def keys_of_payloads(self) -> PayloadKeys:
        """The keys of ``payload_keys``."""
        return read_payload_keys(self.payload_keys.get_secret_value())

    @field_validator("payload_keys")
    @classmethod
    def _check_keys(cls, given: SecretStr) -> SecretStr:
        read_payload_keys(given.get_secret_value())
        return given

    @field_validator("metrics_token")
    @classmethod
    def _check_token(cls, given: SecretStr) -> SecretStr:
        token = given.get_secret_value()
        if token and (len(token) < MIN_TOKEN or not TOKEN.fullmatch(token)):
            raise ValueError(f"It has at least {MIN_TOKEN} characters: letters, digits, and - . _ ~ + / =.")
        return given

    @model_validator(mode="after")
    def _check_certificates(self) -> Self:
        if bool(self.client_certificate_header) != bool(self.client_certificate_networks):
            raise ValueError(
                "MANAGE_CLIENT_CERTIFICATE_HEADER and MANAGE_CLIENT_CERTIFICATE_NETWORKS are set together: "
                "which header, and whose."
            )
        return self

    @field_validator("mqtt_client_id")
    @classmethod
    def _check_client_id(cls, given: str) -> str:
        # It names the actor of what comes from the broker.
        Actor(f"mqtt:{given}")
        return given

    @field_validator("worker_queues", mode="before")
    @classmethod
    def _read_queues(cls, given: object) -> object:
        return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given

    @field_validator("flags", mode="before")
    @classmethod
    def _read_flags(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("{"):
            return json.loads(given)
        return {name.strip(): True for name in given.split(",") if name.strip()}


def is_loopback(host: str | None) -> bool:
    """Whether a host, by name or address, is this machine and reached from nowhere else."""
    if host == "localhost":
        return True
    try:
        return host is not None and ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings() -> Settings:
    """Read the settings afresh from the environment."""
    return Settings()
