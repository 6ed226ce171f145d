"""The stable codes by which the product refuses something, all that is said of each, and the error that carries one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from domain.base.violations import Violation


class Subject(StrEnum):
    """What a problem is about."""

    REQUEST = "Requests"
    ACCESS = "Access"
    AVAILABILITY = "Availability"
    SITE = "Sites: depots, circuits and equipment"
    IMPORT = "Fleet import"
    PROVISIONING = "Provisioning: syncs and backfills"
    CONFIGURATION = "Sensor actions, bindings and remediations"
    TELEMETRY = "Packets and statuses"
    HISTORY = "History and exports"
    SIMULATION = "Depot simulation"


def _in_words(code: str) -> str:
    return code.replace("_", " ").capitalize()


class ProblemCode(StrEnum):
    """Why a request, a line or a change was refused. A code never changes its meaning."""

    _value_: str
    status: HTTPStatus
    """Over HTTP; over MQTT a problem has no status."""
    subject: Subject
    meaning: str
    """What is so, in one sentence or two."""
    remedy: str
    """What the caller or an operator can do about it."""
    heading: str
    """What a page says above it."""

    def __new__(
        cls, value: str, status: HTTPStatus, subject: Subject, meaning: str, remedy: str, heading: str = ""
    ) -> ProblemCode:
        """Make the text that is the code, with what documents it; the code in words is its heading, unless given."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.status, made.subject, made.meaning, made.remedy = status, subject, meaning, remedy
        made.heading = heading or _in_words(value)
        return made

    INVALID_REQUEST = (
        "INVALID_REQUEST",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.REQUEST,
        "The request does not have the documented form.",
        "Correct what `errors` names; the OpenAPI document has the form.",
    )
    BODY_TOO_LARGE = (
        "BODY_TOO_LARGE",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Subject.REQUEST,
        "The body is larger than the route accepts.",
        "Send less at once: fewer packets in an array, or the fleet in several files.",
    )
    BODY_TOO_SLOW = (
        "BODY_TOO_SLOW",
        HTTPStatus.REQUEST_TIMEOUT,
        Subject.REQUEST,
        "The body arrived too slowly.",
        "Send it again over a faster connection, or in smaller parts.",
    )
    UNSUPPORTED_CONTENT_ENCODING = (
        "UNSUPPORTED_CONTENT_ENCODING",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Subject.REQUEST,
        "The body is compressed or otherwise encoded, as `Content-Encoding` says; no route decodes bodies.",
        "Send it as it is, without `Content-Encoding` or with `identity`.",
    )
    TOO_MANY_IMPORTS = (
        "TOO_MANY_IMPORTS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.IMPORT,
        "Too many fleet imports are running, so this one was not started.",
        "Send it again later, or cancel one that is paused.",
    )
    TOO_MANY_EXPORTS = (
        "TOO_MANY_EXPORTS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.HISTORY,
        "Too many exports are running or kept, so this one was not started.",
        "Ask for it again later, or delete one that is kept.",
    )
    EXPORT_TOO_LARGE = (
        "EXPORT_TOO_LARGE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.HISTORY,
        "The export would have more rows than one file may have.",
        "Have a job make the file (`POST /api/exports`), or export a shorter window, or fewer devices at once.",
    )
    EXPORT_NOT_FOUND = (
        "EXPORT_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.HISTORY,
        "You have no export with this id.",
        "`GET /api/exports` lists your exports.",
        "There is no such export",
    )
    EXPORT_NOT_RUNNING = (
        "EXPORT_NOT_RUNNING",
        HTTPStatus.CONFLICT,
        Subject.HISTORY,
        "The export has ended, so it cannot be paused, resumed or cancelled.",
        "Start another one.",
    )
    EXPORT_NOT_READY = (
        "EXPORT_NOT_READY",
        HTTPStatus.CONFLICT,
        Subject.HISTORY,
        "The file of the export is not made yet, was not made, or is no longer kept.",
        "Wait until the export has completed; after it expired, start another one.",
    )
    RANGE_NOT_SATISFIABLE = (
        "RANGE_NOT_SATISFIABLE",
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        Subject.HISTORY,
        "`Range` begins behind the end of the file.",
        "Ask for bytes that the file has: `Content-Range` says how many.",
    )
    AS_OF_OUT_OF_RANGE = (
        "AS_OF_OUT_OF_RANGE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.HISTORY,
        "What held at this moment cannot be told: it lies in the future, or before what is kept.",
        "Ask for a moment that `detail` allows.",
    )
    PARQUET_NOT_INSTALLED = (
        "PARQUET_NOT_INSTALLED",
        HTTPStatus.NOT_IMPLEMENTED,
        Subject.HISTORY,
        "This installation does not write Parquet.",
        "Ask for CSV, or install the product with its extra `parquet`: `uv sync --frozen --inexact --extra parquet`.",
        "No Parquet here",
    )
    INVALID_NAME = (
        "INVALID_NAME",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.REQUEST,
        "A name is blank, longer than allowed, or contains characters that no text may contain.",
        "Correct the name; `detail` says what is wrong with it.",
    )
    INVALID_TIMEZONE = (
        "INVALID_TIMEZONE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The time zone is not in the IANA database.",
        "Use a name such as `Europe/Berlin`.",
    )
    DEPOT_NOT_FOUND = (
        "DEPOT_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No depot has this id.",
        "Check the id; `GET /api/depots` lists the depots.",
        "There is no such depot",
    )
    DEPOT_RETIRED = (
        "DEPOT_RETIRED",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "The depot is retired: nothing of it changes, and nothing of its packets is stored.",
        "Bring it back with `POST /api/depots/{depot_id}/restore`, or on its page; or stop what still sends for it.",
        "This depot is retired",
    )
    CIRCUIT_NOT_FOUND = (
        "CIRCUIT_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No circuit has this id. It may have been deleted.",
        "Read the depot's circuits again.",
        "There is no such circuit",
    )
    MICROGRID_NOT_FOUND = (
        "MICROGRID_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No microgrid has this id, or the depot has none yet.",
        "Look at the depot's `provisioning`: it says whether a microgrid will be created.",
        "There is no such microgrid",
    )
    BACKFILL_NOT_FOUND = (
        "BACKFILL_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.PROVISIONING,
        "No backfill has this id.",
        "`GET /api/backfills` lists the backfills.",
        "There is no such backfill",
    )
    GATEWAY_NOT_FOUND = (
        "GATEWAY_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No gateway has this id.",
        "Check the id; it may have been deleted.",
        "There is no such gateway",
    )
    DEVICE_NOT_FOUND = (
        "DEVICE_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No device has this id.",
        "Check the id; it may have been deleted.",
        "There is no such device",
    )
    POWER_SOURCE_NOT_FOUND = (
        "POWER_SOURCE_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "No power source has this id.",
        "Check the id; it may have been deleted.",
        "There is no such power source",
    )
    SENSOR_ACTION_NOT_FOUND = (
        "SENSOR_ACTION_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.CONFIGURATION,
        "No sensor action has this id.",
        "Read the device's sensor actions again.",
        "There is no such sensor action",
    )
    REMEDIATION_NOT_FOUND = (
        "REMEDIATION_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.CONFIGURATION,
        "No remediation has this id.",
        "`GET /api/remediations` lists those that are open.",
        "There is no such remediation",
    )
    BINDING_NOT_FOUND = (
        "BINDING_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.CONFIGURATION,
        "No controller binding has this id.",
        "Read the depot's controller bindings again.",
        "There is no such controller binding",
    )
    PARENT_NOT_FOUND = (
        "PARENT_NOT_FOUND",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The parent circuit does not exist in this depot (it may exist in another).",
        "Name a circuit of the same depot, or none for a top-level circuit.",
    )
    CIRCUIT_CYCLE = (
        "CIRCUIT_CYCLE",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "The change would make a circuit its own ancestor.",
        "Choose a parent that is not below the circuit.",
    )
    CIRCUIT_HAS_CHILDREN = (
        "CIRCUIT_HAS_CHILDREN",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "A circuit with children is deleted only when the caller asks for the cascade.",
        "Delete the children first, or ask for the cascade.",
    )
    CIRCUIT_TREE_TOO_DEEP = (
        "CIRCUIT_TREE_TOO_DEEP",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The change would nest circuits deeper than the allowed depth.",
        "Choose a parent nearer to the top.",
    )
    TOO_MANY_CIRCUITS = (
        "TOO_MANY_CIRCUITS",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The depot would have more circuits than a depot may have.",
        "Divide the site into several depots.",
    )
    CERTIFICATE_REFUSED = (
        "CERTIFICATE_REFUSED",
        HTTPStatus.UNAUTHORIZED,
        Subject.ACCESS,
        "The client certificate proves nothing here: no named proxy checked it, or it is no gateway's.",
        "Send through the proxy, with a certificate whose common name is the gateway's id.",
    )
    API_TOKEN_NOT_FOUND = (
        "API_TOKEN_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.ACCESS,
        "You have no API token with this id.",
        "`GET /api/tokens` lists your tokens; this one may have been revoked.",
        "There is no such token",
    )
    TOO_MANY_API_TOKENS = (
        "TOO_MANY_API_TOKENS",
        HTTPStatus.CONFLICT,
        Subject.ACCESS,
        "You have as many API tokens as anybody may have.",
        "Revoke one that is no longer used, then create another.",
    )
    VIEW_NOT_FOUND = (
        "VIEW_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SITE,
        "You have no saved view with this id.",
        "`GET /api/views` lists your views; this one may have been deleted.",
        "There is no such view",
    )
    VIEW_NAME_TAKEN = (
        "VIEW_NAME_TAKEN",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "You have another view of this name, in upper or lower case; `context.current` has it.",
        "Take another name, or replace that view: send its `version` as `replaces`.",
        "You have a view of this name",
    )
    TOO_MANY_VIEWS = (
        "TOO_MANY_VIEWS",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "You have as many saved views as anybody may have.",
        "Delete one that is no longer used, then save another.",
    )
    TOKEN_REFUSED = (
        "TOKEN_REFUSED",
        HTTPStatus.UNAUTHORIZED,
        Subject.ACCESS,
        "The token in `Authorization` is not valid here: it is wrong, was revoked or has expired.",
        "Send a valid token in `Authorization: Bearer`.",
    )
    TOO_MANY_FAILED_PROOFS = (
        "TOO_MANY_FAILED_PROOFS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.ACCESS,
        "Too many wrong tokens, secrets or sign-ins came from this address, so this one was not looked at.",
        "Wait as long as `Retry-After` says, and correct the program that sends the wrong ones.",
        "Too many failed attempts",
    )
    TOO_MANY_STREAMS = (
        "TOO_MANY_STREAMS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.ACCESS,
        "Whoever asks follows as many event streams at a time as anybody may.",
        "Close streams that nobody reads; after `Retry-After`, ask again.",
        "Too many event streams",
    )
    TOO_MANY_SIGN_INS = (
        "TOO_MANY_SIGN_INS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.ACCESS,
        "Too many sign-ins were begun from this address, so this one was not.",
        "Wait as long as `Retry-After` says, then sign in.",
        "Too many sign-ins",
    )
    GATEWAY_SECRET_NOT_FOUND = (
        "GATEWAY_SECRET_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.ACCESS,
        "The gateway has no secret with this id.",
        "List the gateway's secrets; this one may have been revoked.",
        "There is no such secret",
    )
    TOO_MANY_GATEWAY_SECRETS = (
        "TOO_MANY_GATEWAY_SECRETS",
        HTTPStatus.CONFLICT,
        Subject.ACCESS,
        "The gateway has two secrets, which is as many as it may have.",
        "Revoke the one that the gateway no longer uses, then create another.",
    )
    TOO_MANY_GATEWAYS = (
        "TOO_MANY_GATEWAYS",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The depot would have more gateways than a depot may have.",
        "Divide the site into several depots.",
    )
    TOO_MANY_DEVICES = (
        "TOO_MANY_DEVICES",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The depot would have more devices than a depot may have.",
        "Divide the site into several depots.",
    )
    TOO_MANY_POWER_SOURCES = (
        "TOO_MANY_POWER_SOURCES",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The depot would have more power sources than a depot may have.",
        "Divide the site into several depots.",
    )
    IMPORT_INTERRUPTED = (
        "IMPORT_INTERRUPTED",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.IMPORT,
        "The fleet import stopped while its depots were being stored. Each depot is stored completely or not at all.",
        "Import the same file again: lines that are already stored stay unchanged.",
    )
    IMPORT_NOT_RUNNING = (
        "IMPORT_NOT_RUNNING",
        HTTPStatus.CONFLICT,
        Subject.IMPORT,
        "The import has ended, so it cannot be paused, resumed or cancelled.",
        "Import the same file again: lines that are already stored stay unchanged.",
    )
    IMPORT_NOT_FOUND = (
        "IMPORT_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.IMPORT,
        "No import has this id.",
        "`GET /api/imports` lists the imports.",
        "There is no such import",
    )
    BACKFILL_NOT_RUNNING = (
        "BACKFILL_NOT_RUNNING",
        HTTPStatus.CONFLICT,
        Subject.PROVISIONING,
        "The backfill has ended, so it cannot be paused, resumed or cancelled.",
        "Start another one: it processes only the depots that are left.",
    )
    SYNC_TIMED_OUT = (
        "SYNC_TIMED_OUT",
        HTTPStatus.GATEWAY_TIMEOUT,
        Subject.PROVISIONING,
        "The sync was accepted but did not answer in time: maybe no worker is running. The sync will still run.",
        "Check that a worker is running; the depot's microgrid shows when the sync has run.",
    )
    SYNC_FAILED = (
        "SYNC_FAILED",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Subject.PROVISIONING,
        "The sync failed, and a retry would fail in the same way. The depot's `provisioning` says so, too.",
        "Correct what `detail` names, then ask for a Resync.",
    )
    TEMPORAL_UNAVAILABLE = (
        "TEMPORAL_UNAVAILABLE",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "Temporal cannot be reached, so workflows can be neither started nor queried.",
        "Try again; if it lasts, check Temporal and `TEMPORAL_ADDRESS`.",
        "Temporal is unavailable",
    )
    DATABASE_UNAVAILABLE = (
        "DATABASE_UNAVAILABLE",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "The database cannot be reached. Nothing was changed.",
        "Try again; if it lasts, check PostgreSQL and `DATABASE_URL`.",
        "The database is unavailable",
    )
    DATABASE_NOT_MIGRATED = (
        "DATABASE_NOT_MIGRATED",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "The database lacks a migration that this version of the product needs. Nothing was changed.",
        "Apply the migrations with `python -m cli.migrate`, then try again.",
        "The database was not migrated",
    )
    DATABASE_BUSY = (
        "DATABASE_BUSY",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "The database is running but could not serve the request in time. Nothing was changed.",
        "Try again after a pause, for less where `detail` says it took long; if it lasts, look for long transactions.",
        "The database is busy",
    )
    IDEMPOTENCY_KEY_IN_USE = (
        "IDEMPOTENCY_KEY_IN_USE",
        HTTPStatus.CONFLICT,
        Subject.REQUEST,
        "A request with the same idempotency key is still in progress.",
        "Wait, then send the same request again: it gets the first one's answer.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "IDEMPOTENCY_KEY_REUSED",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.REQUEST,
        "A different request was sent with the same idempotency key before.",
        "Use a new key for each new request.",
        "This form was sent before",
    )
    OUTCOME_UNKNOWN = (
        "OUTCOME_UNKNOWN",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "The database was lost while it stored the change, which was stored completely or not at all.",
        "Read the resource before you try again. A request with an idempotency key can be repeated unchanged.",
        "It is not known whether this was saved",
    )
    INVALID_CURSOR = (
        "INVALID_CURSOR",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.REQUEST,
        "The cursor did not come from this list.",
        "Start again without a cursor, and send back `next_cursor` as it is, with the same filters.",
    )
    ACCESS_REFUSED = (
        "ACCESS_REFUSED",
        HTTPStatus.FORBIDDEN,
        Subject.ACCESS,
        "The caller is not on a network that may act as the local administrator.",
        "Call from an allowed network; docs/operations.md says how to allow another.",
        "You may not act from here",
    )
    NOT_PERMITTED = (
        "NOT_PERMITTED",
        HTTPStatus.FORBIDDEN,
        Subject.ACCESS,
        "None of the roles that you were granted permits this here.",
        "Ask an administrator for a role that does; docs/access.md says what each role permits.",
        "You may not do this",
    )
    SESSION_NOT_FOUND = (
        "SESSION_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.ACCESS,
        "No session has this id, or it is another person's. It may have ended.",
        "`GET /api/sessions` lists the sessions.",
        "There is no such session",
    )
    PERSON_NOT_FOUND = (
        "PERSON_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.ACCESS,
        "Nobody with this id has ever signed in.",
        "List sessions or API tokens; they have the ids of their people.",
        "There is no such person",
    )
    GRANT_NOT_FOUND = (
        "GRANT_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.ACCESS,
        "No grant has this id. It may have been taken away.",
        "`GET /api/grants` lists the grants.",
        "There is no such grant",
    )
    GRANT_EXISTS = (
        "GRANT_EXISTS",
        HTTPStatus.CONFLICT,
        Subject.ACCESS,
        "The same role was granted there before.",
        "There is nothing to do.",
    )
    LAST_ADMINISTRATOR = (
        "LAST_ADMINISTRATOR",
        HTTPStatus.CONFLICT,
        Subject.ACCESS,
        "Without this grant nobody would be administrator of all depots.",
        "Make another person or group administrator of all depots first.",
        "The last administrator stays",
    )
    PAYLOAD_UNREADABLE = (
        "PAYLOAD_UNREADABLE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.ACCESS,
        "A payload of Temporal is encrypted with a key that the API does not have, or was changed.",
        "Add the key that `detail` names to `MANAGE_PAYLOAD_KEYS`; docs/operations.md says how keys are rotated.",
        "A payload cannot be decrypted",
    )
    CROSS_SITE_REFUSED = (
        "CROSS_SITE_REFUSED",
        HTTPStatus.FORBIDDEN,
        Subject.ACCESS,
        "A page of another origin tried to change something.",
        "Send changes from the product's own pages, or from a program that is no browser.",
    )
    OTHER_PERSON_SIGNED_IN = (
        "OTHER_PERSON_SIGNED_IN",
        HTTPStatus.FORBIDDEN,
        Subject.ACCESS,
        "A page that one person opened tried to change something while another person is signed in in this browser.",
        "Load the page anew, or sign in again as the person that the page is of. Nothing was changed.",
        "Somebody else is signed in now",
    )
    SIGN_IN_REQUIRED = (
        "SIGN_IN_REQUIRED",
        HTTPStatus.UNAUTHORIZED,
        Subject.ACCESS,
        "The request does not prove who makes it: nobody signed in, the session has ended, or the token is not valid.",
        "Sign in again, or send a valid token in `Authorization: Bearer`.",
        "Sign in to go on",
    )
    SIGN_IN_REFUSED = (
        "SIGN_IN_REFUSED",
        HTTPStatus.BAD_REQUEST,
        Subject.ACCESS,
        "Signing in was cancelled or took too long, or the provider's answer is not to be believed.",
        "Begin again. If it happens again, the log says which check failed.",
        "You are not signed in",
    )
    PROVIDER_UNAVAILABLE = (
        "PROVIDER_UNAVAILABLE",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.ACCESS,
        "The OpenID provider cannot be reached, or is not configured as the product needs it.",
        "Try again. If it lasts, check `MANAGE_OIDC_ISSUER` and that the API reaches the provider.",
        "Signing in is not possible now",
    )
    INVALID_JSON = (
        "INVALID_JSON",
        HTTPStatus.BAD_REQUEST,
        Subject.REQUEST,
        "The body is not one JSON document in UTF-8, so nothing in it could be read.",
        "Send valid JSON in UTF-8; `detail` says where reading stopped.",
    )
    INVALID_PACKET = (
        "INVALID_PACKET",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "The packet breaks the packet contract.",
        "Correct what `errors` names; the component `Packet` of the OpenAPI document is the contract.",
    )
    TIMESTAMP_IN_FUTURE = (
        "TIMESTAMP_IN_FUTURE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "The time of measurement is too far in the future.",
        "Set the clock of the field device, then send new packets.",
    )
    TIMESTAMP_TOO_OLD = (
        "TIMESTAMP_TOO_OLD",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "The time of measurement is too old, even for a late message.",
        "Do not send it again: it will never be accepted.",
    )
    TOO_MANY_SERIES = (
        "TOO_MANY_SERIES",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "More than eight series were asked for at once.",
        "Leave some out, or ask for them in several requests.",
    )
    INVALID_CAPABILITY_VALUE = (
        "INVALID_CAPABILITY_VALUE",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "A capability's value must be true, false or null.",
        "Send true, false or null.",
    )
    INVALID_EVENT_REF = (
        "INVALID_EVENT_REF",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.TELEMETRY,
        "The provider event reference is blank, too long, or contains characters that no text may contain.",
        "Send a short reference of visible characters.",
    )
    INVALID_SENSOR_ACTION = (
        "INVALID_SENSOR_ACTION",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.CONFIGURATION,
        "A field of the sensor action is invalid, unknown or missing.",
        "Correct what `errors` names; `GET /api/sensor-action-schemas` has the form of each action.",
    )
    UNKNOWN_DEVICE = (
        "UNKNOWN_DEVICE",
        HTTPStatus.NOT_FOUND,
        Subject.TELEMETRY,
        "The packet's `device_id` is not the id of a known gateway.",
        "Create the gateway, or correct the id in the field device.",
    )
    FOREIGN_GATEWAY = (
        "FOREIGN_GATEWAY",
        HTTPStatus.FORBIDDEN,
        Subject.TELEMETRY,
        "The packet is of a gateway whose packets its sender may not send.",
        "Let each gateway send its own packets, or a program those of the gateways at its depots.",
    )
    TOO_MANY_PACKETS = (
        "TOO_MANY_PACKETS",
        HTTPStatus.TOO_MANY_REQUESTS,
        Subject.TELEMETRY,
        "Too many packets are waiting, so none of these was accepted.",
        "Send them again later, with increasing pauses.",
    )
    DEVICE_NOT_IN_DEPOT = (
        "DEVICE_NOT_IN_DEPOT",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The device does not exist in this depot (it may exist in another).",
        "Name a device of the same depot.",
    )
    INVALID_OUTPUT_TRANSLATION = (
        "INVALID_OUTPUT_TRANSLATION",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "A gateway's output translation is too long, or contains something that cannot be stored.",
        "Correct what `detail` names.",
    )
    CIRCUIT_NOT_IN_DEPOT = (
        "CIRCUIT_NOT_IN_DEPOT",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The circuit does not exist in this depot (it may exist in another).",
        "Name a circuit of the same depot.",
    )
    GATEWAY_NOT_IN_DEPOT = (
        "GATEWAY_NOT_IN_DEPOT",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SITE,
        "The gateway does not exist in the device's depot (it may exist in another).",
        "Name a gateway of the same depot.",
    )
    SENSOR_ID_TAKEN = (
        "SENSOR_ID_TAKEN",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "Another device of the gateway has this sensor id.",
        "Use the device that has it, or another sensor id.",
    )
    GATEWAY_HAS_DEVICES = (
        "GATEWAY_HAS_DEVICES",
        HTTPStatus.CONFLICT,
        Subject.SITE,
        "A gateway with devices is deleted only when the caller asks for the cascade.",
        "Delete or move the devices first, or ask for the cascade.",
    )
    SENSOR_ACTION_EXISTS = (
        "SENSOR_ACTION_EXISTS",
        HTTPStatus.CONFLICT,
        Subject.CONFIGURATION,
        "The device already has a sensor action of this kind.",
        "Change the existing one.",
    )
    CAPABILITY_OWNED = (
        "CAPABILITY_OWNED",
        HTTPStatus.CONFLICT,
        Subject.CONFIGURATION,
        "Another enabled sensor action of the depot supplies the capability.",
        "Disable the one that `context` names, then enable this one.",
    )
    INVALID_CONTROLLER_BINDING = (
        "INVALID_CONTROLLER_BINDING",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.CONFIGURATION,
        "The binding is invalid.",
        "Correct what `errors` names; each has a code of its own.",
    )
    UNKNOWN_CONTROLLER = (
        "UNKNOWN_CONTROLLER",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.CONFIGURATION,
        "No controller revision has this name.",
        "Use one of the revisions that `detail` lists.",
    )
    UNSUPPORTED_BY_REVISION = (
        "UNSUPPORTED_BY_REVISION",
        HTTPStatus.CONFLICT,
        Subject.CONFIGURATION,
        "The controller's revision lacks the measurand of a capability that the device is bound to supply.",
        "Choose a revision that has it, or disable the binding first.",
    )
    VERSION_CONFLICT = (
        "VERSION_CONFLICT",
        HTTPStatus.CONFLICT,
        Subject.REQUEST,
        "The resource has changed since the caller read it. The status is 412 if the request had `If-Match`.",
        "Read it again, decide whether the change still applies, and send the current version.",
    )
    DELETION_CHANGED = (
        "DELETION_CHANGED",
        HTTPStatus.CONFLICT,
        Subject.REQUEST,
        "What would be deleted or unlinked has changed since the deletion was confirmed.",
        "Read the deletion again and confirm what it shows now.",
    )
    SCENARIO_NOT_FOUND = (
        "SCENARIO_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SIMULATION,
        "No scenario has this name.",
        "`GET /api/scenarios` lists the presets.",
    )
    INVALID_SCENARIO = (
        "INVALID_SCENARIO",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Subject.SIMULATION,
        "The scenario breaks the rules of its language.",
        "Correct what `errors` names; `./dev scenario validate FILE` shows line numbers.",
    )
    SIMULATION_NOT_ALLOWED = (
        "SIMULATION_NOT_ALLOWED",
        HTTPStatus.CONFLICT,
        Subject.SIMULATION,
        "The depot does not allow scenarios to run on it.",
        "Run it on another depot; or set `allows_simulation` of this one, if no real device depends on it.",
    )
    SIMULATION_NOT_CONFIRMED = (
        "SIMULATION_NOT_CONFIRMED",
        HTTPStatus.CONFLICT,
        Subject.SIMULATION,
        "A device of the depot really reported within the last day, and the run would send in its place.",
        "See in `context` what it would overwrite; the depot's name in `confirm_depot_name` runs it all the same.",
    )
    SCENARIO_NOT_CONFIGURED = (
        "SCENARIO_NOT_CONFIGURED",
        HTTPStatus.CONFLICT,
        Subject.SIMULATION,
        "The depot's configuration lacks something that the scenario needs.",
        "Configure what `context` names, or let the run configure it.",
    )
    RUN_NOT_FOUND = (
        "RUN_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.SIMULATION,
        "No scenario run has this id.",
        "`GET /api/scenario-runs` lists the runs.",
        "There is no such scenario run",
    )
    RUN_IN_PROGRESS = (
        "RUN_IN_PROGRESS",
        HTTPStatus.CONFLICT,
        Subject.SIMULATION,
        "Another scenario run is in progress in the depot.",
        "Wait until it ends, or cancel it.",
    )
    RUN_NOT_RUNNING = (
        "RUN_NOT_RUNNING",
        HTTPStatus.CONFLICT,
        Subject.SIMULATION,
        "The scenario run has ended, so it cannot be paused, resumed or cancelled, and sends no packets.",
        "Start another one.",
    )
    PAGES_UNAVAILABLE = (
        "PAGES_UNAVAILABLE",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Subject.AVAILABILITY,
        "Files that the operator pages need were not installed. The API works.",
        "Run the command that `detail` names, then load the page again.",
        "The pages cannot be shown",
    )
    ROUTE_NOT_FOUND = (
        "ROUTE_NOT_FOUND",
        HTTPStatus.NOT_FOUND,
        Subject.REQUEST,
        "Nothing has this address.",
        "Compare the path with the OpenAPI document.",
        "There is no such page",
    )
    METHOD_NOT_ALLOWED = (
        "METHOD_NOT_ALLOWED",
        HTTPStatus.METHOD_NOT_ALLOWED,
        Subject.REQUEST,
        "The address does not support this method.",
        "Use one of the methods in the header `Allow`.",
    )
    INTERNAL_ERROR = (
        "INTERNAL_ERROR",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Subject.REQUEST,
        "The server failed with an unexpected error.",
        "Find the request in the log by its `request_id` and report it.",
        "Something went wrong here",
    )


PROBLEMS = "/problems"
"""Where the API serves what this module says of each code."""


def problem_anchor(code: ProblemCode) -> str:
    """Name a code as its place on the page of all codes does."""
    return code.lower().replace("_", "-")


def problem_type(code: ProblemCode) -> str:
    """Name a kind of problem as RFC 9457's ``type`` does: a reference, relative to the API, that leads to its words."""
    return f"{PROBLEMS}#{problem_anchor(code)}"


def by_subject() -> Iterator[tuple[Subject, list[ProblemCode]]]:
    """All codes, in the order of their subjects."""
    for subject in Subject:
        yield subject, [code for code in ProblemCode if code.subject is subject]


def problem_title(code: ProblemCode) -> str:
    """Say a code in words, for RFC 9457's ``title``."""
    return _in_words(code)


class Problem(Exception):
    """A refusal: a stable ``code`` and a ``detail`` that says what to do about it."""

    def __init__(
        self,
        code: ProblemCode,
        detail: str,
        field: str | None = None,
        *,
        violations: Sequence[Violation] = (),
        context: Mapping[str, Any] | None = None,
        retry_after: int = 1,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field
        """The request's field that the refusal is about, where there is one."""
        self.violations = tuple(violations)
        """Everything that is wrong with the request's document, where that is the reason."""
        self.retry_after = retry_after
        """Seconds after which to try again, where trying again may help."""
        self.context = context
        """What a program needs to go on: the state that stands in the way, by the names of the API."""


class GoneMeanwhileError(Exception):
    """What was being read was removed by somebody who may, after the answer had begun."""
