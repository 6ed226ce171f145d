"""The fleet import's route."""

from fastapi import APIRouter

router = APIRouter()
