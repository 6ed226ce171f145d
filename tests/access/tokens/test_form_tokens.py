"""Forms that send themselves: the token of their first field is the session's, whole and its own on every page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

from tests.helpers.openid import CSRF, Surfer, signing_in

_FIELD = re.compile(r'name="csrf_token" value="([^"]+)"')
ADMIN = "administrator"


def multipart(*fields: tuple[str, str], more: str = "") -> tuple[bytes, dict[str, str]]:
    """Write a form as a browser does that sends a file along."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n' for name, value in fields]
    return "".join([*parts, "--b--\r\n"]).encode(), {"content-type": "multipart/form-data; boundary=b"}


def urlencoded(*fields: tuple[str, str]) -> tuple[bytes, dict[str, str]]:
    return urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"}


async def test_a_form_is_sent_with_its_own_token_alone(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody, Surfer() as other:
        await somebody.sign_in(f"{url}/", ADMIN)
        await other.sign_in(f"{url}/", ADMIN)
        form = f"{url}/depots/views/new?search=north"

        async def token_of(surfer: Surfer) -> str:
            found = _FIELD.search((await surfer.get(form)).text)
            assert found is not None
            return found[1]

        async def send(sent: tuple[bytes, dict[str, str]], **headers: str) -> int:
            body, more = sent
            there = f"{url}/depots/views"
            return (await somebody.send("POST", there, content=body, headers={**more, **headers})).status_code

        token, foreign = await token_of(somebody), await token_of(other)
        assert token != await token_of(somebody)
        csrf = somebody.cookies(url)[CSRF]
        assert csrf not in (await somebody.get(form)).text
        view = [("name", "Mine"), ("query", "search=north")]
        wrong = [
            *(("csrf_token", each) for each in ("", ".", csrf, foreign, token[:-1], f"x{token}", token.upper())),
            ("csrf-token", token),
        ]
        for write in (urlencoded, multipart):
            for field in wrong:
                assert await send(write(field, *view)) == 403, field
            # In another place it is as good as none: what comes before it might be of any length.
            assert await send(write(*view, ("csrf_token", token))) == 403
            assert await send(write(("csrf_token", token), *view), origin="https://evil.example") == 403
            # A header that is wrong is not made right by the field.
            assert await send(write(("csrf_token", token), *view), **{"x-csrf-token": "x"}) == 403
        body, _ = urlencoded(("csrf_token", token), *view)
        for kind in ("text/plain", "application/json", "multipart/form-data; boundary=b"):
            assert await send((body, {"content-type": kind})) == 403, kind
        listed = f"{url}/api/views"
        assert (await somebody.send("GET", listed)).json()["items"] == []
        assert await send(urlencoded(("csrf_token", token), *view)) == 303
        assert await send(multipart(("csrf_token", token), *view, ("replaces", "1"))) == 303
        (saved,) = (await somebody.send("GET", listed)).json()["items"]
        assert (saved["name"], saved["filters"]["search"]) == ("Mine", "north")
        assert (await other.send("GET", listed)).json()["items"] == [saved]
