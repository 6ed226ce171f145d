"""Routes are made once a process, and each has what stands before all of them."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.routing import Route

from api.edge.routes import routes_of
from api.main import create_app
from runtime.settings import Settings


def test_applications_of_one_process_share_their_routes() -> None:
    first, second = (create_app(Settings(database_url=SecretStr("postgresql://nobody@nowhere/nothing"))) for _ in "12")
    shared = {id(each) for each in first.routes} & {id(each) for each in second.routes}
    # What FastAPI itself adds is each application's own: the description, and the pages that draw it.
    own = [each.path for each in first.routes if id(each) not in shared and isinstance(each, Route)]
    assert len(shared) > 200
    assert sorted(own) == ["/docs", "/docs/oauth2-redirect", "/openapi.json"]
    # A router that is included makes its routes anew with the first request.
    assert not [each for each in first.routes if hasattr(each, "original_router")]


def test_a_route_keeps_what_it_was_declared_with() -> None:
    async def before_all() -> None: ...

    async def before_one() -> None: ...

    class Own(APIRoute):
        pass

    async def page() -> None: ...

    router = APIRouter(prefix="/things", tags=["things"], route_class=Own, dependencies=[Depends(before_one)])

    @router.get("/{thing_id}", status_code=203, name="one", responses={404: {"description": "none"}}, deprecated=True)
    async def read(thing_id: int) -> dict[str, int]:
        """Read one."""
        return {"id": thing_id}

    router.routes.append(Route("/plain", page))
    made, plain = routes_of([router], dependencies=[Depends(before_all)], responses={500: {"description": "ours"}})
    assert plain is router.routes[1]
    assert type(made) is Own
    assert (made.path, made.methods, made.name, made.status_code) == ("/things/{thing_id}", {"GET"}, "one", 203)
    assert (made.tags, made.deprecated, made.description) == (["things"], True, "Read one.")
    assert list(made.responses) == [500, 404]
    assert made.response_model == dict[str, int]
    assert [each.dependency for each in made.dependencies] == [before_all, before_one]
    assert made.endpoint is read
