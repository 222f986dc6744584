"""Gates: what is left to be decided of the requests of one form (`aws.access.Form`), for a principal.

Most conditions depend on what all requests of a form have in common, so they are tested once. What is left is often one
look-up of a partition key in a set. That is written down as plain as possible (`Gate`); where it cannot be, because a
condition depends on the moment or a policy of a resource allows, the policies are evaluated (`evaluation.finish`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from jedlik.aws.access import Form
from jedlik.aws.policies.condition_tests import Holds
from jedlik.aws.policies.evaluation import Prepared, Varies, finish, narrowed
from jedlik.aws.policies.wildcards import Values

Statement = tuple[tuple[int, Holds], ...]
"""The conditions of a statement, each with the place of the values that it tests."""
Given = tuple[Collection[str], ...]
"""The values of a request that vary, by their places."""


class Gate:
    """What is left to be decided."""

    __slots__ = ("_allowing", "_denies", "rest", "tests")

    def __init__(
        self, denies: tuple[Statement, ...], allowing: tuple[tuple[Statement, ...], ...], rest: Rest | None = None
    ) -> None:
        self._denies = denies
        """None of these may apply."""
        self._allowing = allowing
        """One of each of these lists must."""
        self.rest = rest
        """What has to allow the request besides, where conditions depend on more than what varies."""
        self.tests: Statement | None = None
        """Conditions, if all of them must hold and nothing else; None where there is a choice."""
        if rest is None and not denies and all(len(each) == 1 for each in allowing):
            self.tests = tuple(one for each in allowing for one in each[0])

    def allows(self, given: Given) -> bool:
        """Whether a request with these values is allowed, but for the `rest`."""
        if self._denies and _any_applies(self._denies, given):
            return False
        return all(_any_applies(statements, given) for statements in self._allowing)


def _any_applies(statements: tuple[Statement, ...], given: Given) -> bool:
    for statement in statements:
        for place, holds in statement:
            if not holds(given[place]):
                break
        else:
            return True
    return False


class Rest:
    """What is left, where it must be evaluated."""

    def __init__(self, prepared: Prepared, places: Mapping[str, int]) -> None:
        self._prepared = prepared
        self._places = places

    def allows(self, given: Given, moment: Values) -> bool:
        """Whether a request is allowed."""
        return finish(self._prepared, _RequestValues(self._places, given, moment)).allowed


class _RequestValues(Mapping[str, tuple[str, ...]]):
    """The condition keys of a request of a form: those that vary, and those of the moment."""

    def __init__(self, places: Mapping[str, int], given: Given, moment: Values) -> None:
        self._places = places
        self._given = given
        self._moment = moment

    def __getitem__(self, key: str) -> tuple[str, ...]:
        place = self._places.get(key)
        return self._moment[key] if place is None else tuple(self._given[place])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._moment)))

    def __len__(self) -> int:
        return len(list(iter(self)))


def gate_of(prepared: Prepared, form: Form, known: Values, of_moment: Varies) -> Gate:
    """What is left to be decided of a form's requests, whose other keys have the values `known`. Those `of_moment`
    depend on more than the form."""
    places = {key.lower(): place for place, keys in enumerate(form.varying) for key in keys}
    left = narrowed(prepared, known, lambda key: key in places or of_moment(key))
    if left.decided is not None:
        return Gate((), () if left.decided.allowed else ((),))
    allowing = [
        left.identity + left.limited,
        *(ready for ready in (left.boundary, left.session, left.endpoint) if ready is not None),
    ]
    every = [*(ready for _, ready in left.denies), *allowing]
    is_plain = all(
        not one.late and not one.resources and all(key in places for key, _ in one.conditions)
        for statements in every
        for one in statements
    )
    if not is_plain or left.unlimited or left.is_across:
        return Gate((), (), Rest(left, places))
    in_places = [tuple(tuple((places[key], holds) for key, holds in one.conditions) for one in each) for each in every]
    count = len(left.denies)
    return Gate(tuple(one for each in in_places[:count] for one in each), tuple(in_places[count:]))
