"""What routes are given: the actor, the database, Temporal, the settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.access import ActorDep
from domain.controller_support import ControllerTables
from runtime.controllers import controller_tables
from runtime.settings import Settings

__all__ = ["ActorDep", "ClientDep", "EngineDep", "SettingsDep", "TablesDep"]


def _engine(request: Request) -> AsyncEngine:
    return request.app.state.engine


def _client(request: Request) -> Client:
    return request.app.state.client


def _settings(request: Request) -> Settings:
    return request.app.state.settings


EngineDep = Annotated[AsyncEngine, Depends(_engine)]
ClientDep = Annotated[Client, Depends(_client)]
SettingsDep = Annotated[Settings, Depends(_settings)]
TablesDep = Annotated[ControllerTables, Depends(controller_tables)]
"""What each controller's revision can say."""
