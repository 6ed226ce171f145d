"""What there is only where a provider is configured."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from api.base.dependencies import SettingsDep


async def needs_provider(settings: SettingsDep) -> None:
    """Answer as if the route were not there, where nobody can sign in.

    Raises:
        HTTPException: 404.

    """
    if not settings.people_sign_in:
        raise HTTPException(404, "No OpenID provider is configured.")
