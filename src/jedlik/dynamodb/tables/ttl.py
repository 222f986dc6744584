"""UpdateTimeToLive and DescribeTimeToLive.

The setting is part of the table's descriptor, so every write knows it. Switching it on writes a job that adds notes for
the existing items (`items.expiring`); switching it off writes one that removes the notes.

Source: "Using time to live (TTL) in DynamoDB" in the developer guide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.model import keys, shared_settings
from jedlik.dynamodb.model.definitions import Expiry
from jedlik.dynamodb.model.limits import TTL_CHANGE_SECONDS
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.counters import counter

Request = dict[str, Any]
Response = dict[str, Any]


_STATUS = {
    (True, False): "ENABLING",
    (True, True): "ENABLED",
    (False, False): "DISABLING",
    (False, True): "DISABLED",
}
"""The state after a change, by whether it is switched on and whether the table is empty: then nothing is left to do."""


async def update_time_to_live(context: Context, request: Request) -> Response:
    """Switch a table's time to live on or off."""
    region = context.region
    wanted = request["TimeToLiveSpecification"]
    attribute, enabled = wanted["AttributeName"], wanted["Enabled"]
    now = region.clock()

    async def attempt(table: Table) -> None:
        items = keys.item_count_key(table.id, 0)

        def decide(mutation: Mutation) -> None:
            if table.replica is not None and table.replica.disassociates:
                raise ResourceInUseException("The resource which you are attempting to change is in use.")
            _check_change(table.descriptor.expiry, attribute, enabled, now)
            empty = counter(mutation.found[items]) == 0
            setting = Expiry(attribute, _STATUS[enabled, empty], now)
            changed = shared_settings.noted(replace(table.descriptor, expiry=setting), now)
            catalog.put(changed, mutation.writes)
            if not empty:
                expiring.submit(changed, mutation.writes)

        await mini_transaction.mutate(region, [table], (), decide, [items])

    await catalog.with_table(region, request["TableName"], attempt)
    region.jobs_wanted.set()
    return {"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}}


async def describe_time_to_live(context: Context, request: Request) -> Response:
    """A table's time to live: its state, and the attribute while it is on."""
    table = await catalog.current(context.region, request["TableName"])
    setting = table.descriptor.expiry
    if setting is None or setting.status == "DISABLED":
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    return {
        "TimeToLiveDescription": {
            "TimeToLiveStatus": setting.status,
            "AttributeName": setting.attribute,
        }
    }


def _check_change(setting: Expiry | None, attribute: str, enabled: bool, now: float) -> None:
    active = setting is not None and setting.on
    if setting is not None and active and setting.attribute != attribute:
        raise ValidationException(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {setting.attribute}"
        )
    if active == enabled:
        raise ValidationException(f"TimeToLive is already {'enabled' if enabled else 'disabled'}")
    if setting is not None and now - setting.updated_at < TTL_CHANGE_SECONDS:
        raise ValidationException("Time to live has been modified multiple times within a fixed interval")
