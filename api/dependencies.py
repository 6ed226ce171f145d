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

__all__ = ["ActorDep", "ClientDep", "EngineDep", "LookoutDep", "SettingsDep", "TablesDep"]


# Coroutines, although they wait for nothing: FastAPI calls anything else in a thread, which costs more than it does.
async def _engine(request: Request) -> AsyncEngine:
    return request.app.state.engine


async def _lookout(request: Request) -> AsyncEngine:
    return request.app.state.lookout


async def _client(request: Request) -> Client:
    return request.app.state.client


async def _settings(request: Request) -> Settings:
    return request.app.state.settings


EngineDep = Annotated[AsyncEngine, Depends(_engine)]
LookoutDep = Annotated[AsyncEngine, Depends(_lookout)]
"""Connections that no other work takes: for the process's health and figures."""
ClientDep = Annotated[Client, Depends(_client)]
SettingsDep = Annotated[Settings, Depends(_settings)]
TablesDep = Annotated[ControllerTables, Depends(controller_tables)]
"""What each controller's revision can say."""
