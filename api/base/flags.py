"""Feature flags, by OpenFeature: from the settings, or from any provider that they name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast
from uuid import UUID, uuid4

import structlog
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.provider.no_op_provider import NoOpProvider

from domain.base.actor import Actor
from runtime.settings import MICROGRID_CARD, Settings

_log = structlog.get_logger("flags")

SHIPPED = {MICROGRID_CARD: True}
"""Every flag that the product asks for, and what holds where a provider does not know it or cannot be asked."""


class Flags:
    """The feature flags of one application."""

    def __init__(self, settings: Settings) -> None:
        # OpenFeature keeps its providers for the whole process, by domain: each application has its own.
        self._domain = f"depot-microgrid-{uuid4()}"
        api.set_provider(make_provider(settings), self._domain)
        self._client = api.get_client(self._domain)

    def close(self) -> None:
        """Release the provider, which then shuts down."""
        api.set_provider(NoOpProvider(), self._domain)

    async def is_on(self, flag: str, actor: Actor, depot_id: UUID | None = None) -> bool:
        """Say whether a flag is on for who acts, and for a depot; a provider may tell them apart."""
        context = EvaluationContext(actor.name, {} if depot_id is None else {"depot_id": str(depot_id)})
        found = await self._client.get_boolean_details_async(flag, SHIPPED[flag], context)
        if found.error_code is not None:
            _log.warning("flag not answered", flag=flag, error=found.error_code, message=found.error_message)
        return found.value


def make_provider(settings: Settings) -> FeatureProvider:
    """The provider that the settings name; else one that answers by the settings themselves.

    Raises:
        ValueError: what the settings name cannot be made.

    """
    if not settings.openfeature_provider:
        # A flag that is not listed is off.
        wanted = dict.fromkeys(SHIPPED, False) | settings.flags
        return InMemoryProvider(
            {name: InMemoryFlag("on" if on else "off", {"on": True, "off": False}) for name, on in wanted.items()}
        )
    module, _, name = settings.openfeature_provider.partition(":")
    try:
        factory = cast("Callable[[], FeatureProvider]", getattr(import_module(module), name))
        return factory()
    except Exception as error:
        raise ValueError(
            f"MANAGE_OPENFEATURE_PROVIDER={settings.openfeature_provider} makes no provider: {error}"
        ) from error
