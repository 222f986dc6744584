"""Document paths whose names are known: how they are written, that they are disjoint, and the tree that they form.

The paths of one expression that reach into the same attribute form a tree, so that an item is traversed once, however
many paths there are. In a tree a node has children by name or by list index, never both: that would be a conflict. A
path that ends where another goes on would be an overlap. Both are refused beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.expressions.ast import AttributeValue, InvalidExpression, Item, NamePlaceholder, Path

Leaf = TypeVar("Leaf")


def text(path: Path) -> str:
    """A path as DynamoDB shows it in errors: [a, [1], b]."""
    steps = [f"[{step}]" if isinstance(step, int) else str(step) for step in path.steps]
    return f"[{', '.join(steps)}]"


def attribute(path: Path) -> str:
    """The name of the attribute that a path begins with."""
    name = path.steps[0]
    assert isinstance(name, str)
    return name


def check_defined(path: Path) -> None:
    """Refuses a path with a #name that is not defined, or with more than 32 steps."""
    for step in path.steps:
        if isinstance(step, NamePlaceholder):
            raise InvalidExpression(
                f"An expression attribute name used in the document path is not defined; attribute name: {step.text}"
            )
    if len(path.steps) > limits.NESTING_DEPTH:
        raise InvalidExpression(f"The document path has too many nesting levels; nesting levels: {len(path.steps)}")


@dataclass(slots=True)
class _Branching:
    """Where paths diverge: which of them come through here, by their numbers."""

    first: int
    """The first to come through."""
    ends: int | None = None
    """The one that ends here."""
    children: dict[object, _Branching] = field(default_factory=dict)


def check_disjoint(paths: Sequence[Path]) -> None:
    """Refuses two paths of which one is or contains the other, or that use one attribute as a map and as a list."""
    if all(len(path.steps) == 1 for path in paths) and len({path.steps for path in paths}) == len(paths):
        return
    root = _Branching(0)
    conflict: tuple[int, int] | None = None
    for number, path in enumerate(paths):
        node = root
        for step in path.steps:
            child = node.children.get(step)
            if child is None:
                if conflict is None and node is not root and node.ends is None:
                    other = next(iter(node.children), step)
                    if isinstance(other, int) != isinstance(step, int):
                        conflict = (node.children[other].first, number)
                child = node.children[step] = _Branching(number)
            elif child.ends is not None:
                raise _clash("overlap", paths[child.ends], path)
            node = child
        if node.first != number:
            raise _clash("overlap", paths[node.first], path)
        node.ends = number
    if conflict is not None:
        raise _clash("conflict", paths[conflict[0]], paths[conflict[1]])


def _clash(how: str, one: Path, two: Path) -> InvalidExpression:
    return InvalidExpression(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {text(one)}, path two: {text(two)}"
    )


@dataclass(frozen=True, slots=True)
class Branch(Generic[Leaf]):
    """A node of a tree of paths that other paths go on from."""

    children: dict[str | int, Branch[Leaf] | Leaf]

    def is_of_list(self) -> bool:
        """Whether its children are elements of a list, by index, rather than members of a map, by name."""
        return isinstance(next(iter(self.children)), int)


def tree(leaves: Iterable[tuple[Path, Leaf]]) -> Branch[Leaf]:
    """The tree of disjoint paths, with something at the end of each. Elements of a list are in ascending order."""
    root: Branch[Leaf] = Branch({})
    for path, leaf in leaves:
        node = root
        *ancestors, last = path.steps
        for step in ancestors:
            assert not isinstance(step, NamePlaceholder)
            child = node.children.setdefault(step, Branch({}))
            assert isinstance(child, Branch)
            node = child
        assert not isinstance(last, NamePlaceholder)
        node.children[last] = leaf
    _sort(root)
    return root


def _sort(branch: Branch[Leaf]) -> None:
    for child in branch.children.values():
        if isinstance(child, Branch):
            _sort(child)
    if branch.children and branch.is_of_list():
        in_order = {index: branch.children[index] for index in sorted(branch.children, key=int)}
        branch.children.clear()
        branch.children.update(in_order)


def select(branch: Branch[None], item: Item) -> Item:
    """The parts of an item that the paths of a tree lead to, in their places.

    Elements chosen from a list form a shorter list, in their order. A path that finds nothing is left out, and so is a
    map or a list in which nothing was found.
    """
    chosen: Item = {}
    for name, child in branch.children.items():
        assert isinstance(name, str)
        value = item.get(name)
        if value is None:
            continue
        if child is not None:
            value = _selected(child, value)
            if value is None:
                continue
        chosen[name] = value
    return chosen


def _selected(branch: Branch[None], value: AttributeValue) -> AttributeValue | None:
    if not branch.is_of_list():
        members = value.get("M")
        if members is None:
            return None
        chosen = select(branch, members)
        return {"M": chosen} if chosen else None
    elements = value.get("L")
    if elements is None:
        return None
    found = []
    for index, child in branch.children.items():
        assert isinstance(index, int)
        if index >= len(elements):
            break
        element = elements[index]
        if child is not None:
            element = _selected(child, element)
        if element is not None:
            found.append(element)
    return {"L": found} if found else None
