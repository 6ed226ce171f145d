# pyright: reportMissingImports=false, reportUnknownParameterType=false
"""Runs inside FlexMeasures' own environment: a user, and as many depots with one sensor each as asked for.

    python flexmeasures_site.py SENSORS

The first depot's charts show all sensors. Its last line is a JSON object with the user's token, the sensors' ids, the
first depot's id, and the id of the source of what the user sends.
"""

import json
import sys
from datetime import timedelta
from typing import Any

from flexmeasures.app import create
from flexmeasures.data import db
from flexmeasures.data.models.generic_assets import GenericAsset, GenericAssetType
from flexmeasures.data.models.time_series import Sensor
from flexmeasures.data.models.user import Account
from flexmeasures.data.services.data_sources import get_or_create_source
from flexmeasures.data.services.users import create_user
from sqlalchemy import select


def make(sensors: int) -> dict[str, Any]:
    """Make the user and the sensors."""
    account = db.session.scalars(select(Account)).one()
    user = create_user(
        email="bench@example.com",
        username="bench",
        password="a long password of the benchmark",  # noqa: S106 - of a server that lives for a minute
        account_name=account.name,
        check_email_deliverability=False,
        user_roles=["account-admin"],
    )
    kind = db.session.scalars(select(GenericAssetType).filter_by(name="building")).one()
    assets: list[Any] = []
    made: list[Any] = []
    for number in range(sensors):
        asset = GenericAsset(name=f"Depot {number}", generic_asset_type=kind, owner=account)
        sensor = Sensor(
            name="available charging capacity",
            unit="W",
            generic_asset=asset,
            event_resolution=timedelta(minutes=1),
            timezone="UTC",
        )
        db.session.add_all([asset, sensor])
        assets.append(asset)
        made.append(sensor)
    source = get_or_create_source(user)
    db.session.flush()
    assets[0].sensors_to_show = [sensor.id for sensor in made]
    db.session.commit()
    return {
        "token": user.get_auth_token(),
        "sensors": [sensor.id for sensor in made],
        "asset": assets[0].id,
        "source": source.id,
    }


if __name__ == "__main__":
    with create().app_context():
        sys.stdout.write(f"\n{json.dumps(make(int(sys.argv[1])))}\n")
