"""Throughput of tables and indexes: billing mode, provisioned, on-demand and warm throughput.

A table and each of its global indexes have the same three settings with the same rules; only the texts differ. `Of`
names the one concerned. The stored members are those that DescribeTable shows.

Sources: "Throughput capacity" and "Understanding DynamoDB warm throughput" in the developer guide; the texts
are DynamoDB's answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST, PROVISIONED, Descriptor, IndexDefinition, Throughput
from jedlik.dynamodb.model.limits import TABLE_UNITS

Stored = TypeVar("Stored", Descriptor, IndexDefinition)
"""A table or an index."""

INVALID = "One or more parameter values were invalid: "

UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
_MAX_UNITS = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
_WARM_UNITS = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")

_LARGEST_UNITS = 1_000_000_000_000
_ON_DEMAND_WARM = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
"""The units that an on-demand table can take at once from the start."""

FREE_DECREASES = 4
"""Decreases of provisioned throughput in a day (UTC) that need not be an hour apart."""
DECREASE_SECONDS = 60 * 60
"""How far apart later decreases of the same day must be."""

_MORE = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
_INITIAL = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
    "#on-demand-capacity-mode-initial"
)


@dataclass(frozen=True, slots=True)
class Of:
    """The owner of the throughput: the table, or the index of this name."""

    index: str | None = None

    @property
    def name(self) -> str:
        """As most texts name it."""
        return "for table" if self.index is None else f"for index {self.index}"

    @property
    def name_apart(self) -> str:
        """As texts about on-demand throughput name it, which set the colon apart."""
        return "for table" if self.index is None else f"for index : {self.index}"


TABLE = Of()


def check_mode(mode: str, provisioned: dict[str, int] | None) -> None:
    """A new table has provisioned throughput if and only if its billing mode `mode` is PROVISIONED."""
    if mode == PAY_PER_REQUEST:
        if provisioned is not None:
            raise ValidationException(
                f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
    elif provisioned is None:
        raise ValidationException(
            f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    else:
        check_bounds(provisioned)


def check_new(settings: dict[str, Any], of: Of, mode: str, region: str) -> None:
    """The throughput of a new table or index, in a table of the billing mode `mode`."""
    provisioned = settings.get("ProvisionedThroughput")
    check_on_demand(settings.get("OnDemandThroughput", {}), of, mode, creating=True)
    check_first_warm(settings.get("WarmThroughput", {}), of, provisioned)
    if provisioned is not None:
        check_maximum(provisioned, of, region)


def check_new_index(settings: dict[str, Any], mode: str, region: str) -> None:
    """The same for an index of a new table."""
    name, is_provisioned = settings["IndexName"], "ProvisionedThroughput" in settings
    if mode == PAY_PER_REQUEST and is_provisioned:
        raise ValidationException(
            f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
            "PAY_PER_REQUEST"
        )
    if mode == PROVISIONED and not is_provisioned:
        raise ValidationException(f"{INVALID}ProvisionedThroughput is not specified for index: {name}")
    check_new(settings, Of(name), mode, region)


def check_bounds(provisioned: dict[str, int]) -> None:
    """A table's provisioned throughput must be a sensible number at all."""
    for unit in UNITS:
        if provisioned[unit] > _LARGEST_UNITS:
            raise ValidationException(f"Given value {provisioned[unit]} for {unit} is out of bounds")


def check_index_bounds(provisioned: dict[str, int]) -> None:
    """An index's provisioned throughput must be a sensible number at all."""
    if any(provisioned[unit] > _LARGEST_UNITS for unit in UNITS):
        raise ValidationException(
            "This operation cannot be performed with given input values. Please contact DynamoDB service team "
            "for more info: Action Blocked: IndexUpdate"
        )


def check_maximum(provisioned: dict[str, int], of: Of, region: str) -> None:
    """Provisioned throughput must be within the table-level quota. Raises LimitExceededException."""
    kind = "table" if of.index is None else "index"
    whose = "" if of.index is None else f" for index {of.index}"
    for unit in UNITS:
        if provisioned[unit] > TABLE_UNITS:
            raise LimitExceededException(
                f"The requested {unit}{whose}, {provisioned[unit]}, is above the per {kind} maximum for the "
                f"account in {region}. Per {kind} maximum: {TABLE_UNITS}. {_MORE}"
            )


def check_on_demand(wanted: dict[str, int], of: Of, mode: str, *, creating: bool) -> None:
    """On-demand throughput, in a table of the billing mode `mode`. An update may remove a maximum with -1."""
    if creating:
        whose, which, least = f" for index: {of.index}", "table BillingMode is PROVISIONED.", 1
    else:
        whose, which, least = f" for index : {of.index}", "the table BillingMode is PROVISIONED", -1
    for unit in _MAX_UNITS:
        value = wanted.get(unit)
        if value is None:
            continue
        if mode == PROVISIONED:
            raise ValidationException(
                f"{INVALID}{unit} for OnDemandThroughput{'' if of.index is None else whose} "
                f"cannot be specified when {which}"
            )
        if value < least or value == 0:
            raise ValidationException(
                f"{INVALID}Requested {unit} for OnDemandThroughput {of.name_apart} is outside of valid range"
            )


def check_first_warm(wanted: dict[str, int], of: Of, provisioned: dict[str, int] | None) -> None:
    """Warm throughput of a new table or index; on demand, `provisioned` is `None`."""
    for unit, provisioned_unit in zip(_WARM_UNITS, UNITS, strict=True):
        value = wanted.get(unit)
        if value is None:
            continue
        lower = f"{INVALID}Requested {unit} for WarmThroughput {of.name} is lower than"
        if provisioned is None and value < _ON_DEMAND_WARM[unit]:
            raise ValidationException(f"{lower} initial throughput for OnDemand. See: {_INITIAL}")
        if provisioned is not None and value < provisioned[provisioned_unit]:
            raise ValidationException(f"{lower} {provisioned_unit} of ProvisionedThroughput")


def check_warmer(wanted: dict[str, int], current: dict[str, int], of: Of) -> None:
    """A change of warm throughput: it can only grow."""
    for unit in _WARM_UNITS:
        if wanted.get(unit, current[unit]) < current[unit]:
            raise ValidationException(
                f"{INVALID}Requested {unit} for WarmThroughput {of.name} is lower than current WarmThroughput, "
                "decreasing WarmThroughput is not supported"
            )


# What is stored


def initial(settings: dict[str, Any]) -> Mapping[str, Any]:
    """The throughput of a new table or index with `settings`, by stored field.

    A table or index on demand has no provisioned throughput: DescribeTable shows zeros.
    """
    provisioned = settings.get("ProvisionedThroughput")
    units = {unit: provisioned[unit] if provisioned else 0 for unit in UNITS}
    on_demand = {unit: settings["OnDemandThroughput"][unit] for unit in _given(settings, "OnDemandThroughput")}
    warm = {unit: settings["WarmThroughput"][unit] for unit in _given(settings, "WarmThroughput")}
    return {
        "provisioned": {"NumberOfDecreasesToday": 0, **units},
        "on_demand": on_demand or None,
        "warm": _least_warm(units) | warm,
    }


def with_units(stored: Stored, wanted: dict[str, int], now: float, of: Of) -> Stored:
    """A table or index with other provisioned throughput.

    Raises ValidationException if it is the same, LimitExceededException if it was decreased too often today.
    """
    current = stored.provisioned
    if all(wanted[unit] == current[unit] for unit in UNITS):
        whose = "the table" if of.index is None else f"the index {of.index}"
        provisioned = "the table" if of.index is None else f"index {of.index}"
        raise ValidationException(
            f"The provisioned throughput for {whose} will not change. The requested value equals the current value. "
            + " ".join(
                f"Current {unit} provisioned for {provisioned}: {current[unit]}. Requested {unit}: {wanted[unit]}."
                for unit in UNITS
            )
            + f" {_MORE}"
        )
    changed = current | {unit: wanted[unit] for unit in UNITS}
    if any(wanted[unit] > current[unit] for unit in UNITS):
        changed["LastIncreaseDateTime"] = now
    if any(wanted[unit] < current[unit] for unit in UNITS):
        changed["NumberOfDecreasesToday"] = _decreases(current, now) + 1
        changed["LastDecreaseDateTime"] = now
    return _kept_warm(replace(stored, provisioned=changed))


def not_yet(before: Stored, after: Stored) -> Throughput:
    """Provisioned throughput as it is shown while it changes: the old numbers with the new dates."""
    old, new = before.provisioned, after.provisioned
    return new | {name: old[name] for name in (*UNITS, "NumberOfDecreasesToday")}


def switched(stored: Stored, units: dict[str, int] | None) -> Stored:
    """A table or index after a change of the billing mode: to provisioned with `units`, to on demand with None.

    Either way on-demand throughput is dropped, and a switch does not count as a decrease.
    """
    current = stored.provisioned | {unit: units[unit] if units else 0 for unit in UNITS}
    return _kept_warm(replace(stored, provisioned=current, on_demand=None))


def with_on_demand(stored: Stored, wanted: dict[str, int]) -> Stored:
    """A table or index with other on-demand throughput: missing members stay, and -1 removes a maximum."""
    merged = (stored.on_demand or {}) | {u: wanted[u] for u in _MAX_UNITS if u in wanted}
    kept = {unit: value for unit, value in merged.items() if value != -1}
    return replace(stored, on_demand=kept or None)


def with_warm(stored: Stored, wanted: dict[str, int]) -> Stored:
    """A table or index with more warm throughput."""
    return replace(stored, warm=stored.warm | {u: wanted[u] for u in _WARM_UNITS if u in wanted})


def decreases_today(provisioned: dict[str, Any], now: float) -> int:
    """The number of decreases of provisioned throughput since midnight, UTC."""
    last = provisioned.get("LastDecreaseDateTime")
    if last is None or datetime.fromtimestamp(last, UTC).date() != datetime.fromtimestamp(now, UTC).date():
        return 0
    count: int = provisioned["NumberOfDecreasesToday"]
    return count


def _decreases(provisioned: dict[str, Any], now: float) -> int:
    count = decreases_today(provisioned, now)
    if count < FREE_DECREASES:
        return count
    last = provisioned["LastDecreaseDateTime"]
    if now - last >= DECREASE_SECONDS:
        return count
    raise LimitExceededException(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        f"first {FREE_DECREASES} decreases, each subsequent decrease in the same UTC day can be performed at most "
        f"once every {DECREASE_SECONDS} seconds. Number of decreases today: {count}. "
        f"Last decrease at {_long_date(last)}. "
        f"Next decrease can be made at {_long_date(last + DECREASE_SECONDS)}"
    )


def _long_date(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%A, %B} {at.day}, {at.year} at {at.hour % 12 or 12}:{at:%M:%S %p} Coordinated Universal Time"


def _least_warm(units: Throughput) -> dict[str, int]:
    """The units that a table or index can take at once, because of its highest setting so far."""
    if units["ReadCapacityUnits"] == 0:
        return dict(_ON_DEMAND_WARM)
    return {warm: units[unit] for warm, unit in zip(_WARM_UNITS, UNITS, strict=True)}


def _kept_warm(stored: Stored) -> Stored:
    """A table or index whose warm throughput has grown with the rest: it never shrinks."""
    least, current = _least_warm(stored.provisioned), stored.warm
    return replace(stored, warm={unit: max(least[unit], current[unit]) for unit in _WARM_UNITS})


def _given(settings: dict[str, Any], name: str) -> tuple[str, ...]:
    units = _MAX_UNITS if name == "OnDemandThroughput" else _WARM_UNITS
    return tuple(unit for unit in units if unit in settings.get(name, {}))
