"""From an expression's text to its tree.

Three grammars share a lexer and the rules for operands and paths. Operands are parsed by recursive descent, a frame
for each function call. Conditions are parsed with a stack of open groups instead, because a parenthesis may enclose
either a condition or an operand ("(a) = b", "(a = b)"), which shows only after it is closed, and because thousands of
them fit in a text. Both are bounded: each call and each operator counts, and there may be 300.

    condition  = [NOT...] primary {(AND | OR) [NOT...] primary}
    primary    = comparison | function | "(" condition ")"
    comparison = operand (= | <> | < | <= | > | >=) operand
               | operand BETWEEN operand AND operand | operand IN "(" operand {"," operand} ")"
    operand    = path | :value | function | "(" operand ")"
    path       = name {"." name | "[" number "]"}
    update     = {SET path "=" value {"," ...} | REMOVE path {"," ...} | (ADD | DELETE) path :value {"," ...}}
    value      = operand | operand (+ | -) operand | "(" value ")"
    projection = path {"," path}

Sources: the expression pages of the developer guide; the texts and their order as DynamoDB gives them.
"""

from __future__ import annotations

from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.expressions import functions, lexer
from jedlik.dynamodb.model.expressions.ast import (
    Action,
    And,
    Arithmetic,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    InvalidExpression,
    NamePlaceholder,
    Not,
    Operand,
    Or,
    Path,
    Step,
    ValuePlaceholder,
    name_placeholders,
    value_placeholders,
)
from jedlik.dynamodb.model.expressions.remembering import remembering

_CONDITION_KEYWORDS = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))
_SECTIONS = frozenset(("SET", "REMOVE", "ADD", "DELETE"))
_COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))


@remembering
def parse_condition(text: str) -> Condition:
    """The tree of a condition, filter or key condition expression. Raises InvalidExpression."""
    parser = _Parser(text, _CONDITION_KEYWORDS)
    condition = parser.condition()
    parser.check_parentheses()
    functions.check_condition(condition)
    return condition


@remembering
def parse_update(text: str) -> tuple[Action, ...]:
    """The actions of an update expression, in the order of the text. Raises InvalidExpression."""
    parser = _Parser(text, _SECTIONS, shows_size=False)
    sections = parser.sections()
    parser.check_parentheses()
    actions = tuple([action for _, actions in sections for action in actions])
    functions.check_actions(actions)
    seen = set()
    for verb, _ in sections:
        if verb in seen:
            raise InvalidExpression(f'The "{verb}" section can only be used once in an update expression;')
        seen.add(verb)
    return actions


@remembering
def condition_placeholders(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The #names and :values in the text of a condition, each once. Raises InvalidExpression."""
    nodes = (parse_condition(text),)
    return name_placeholders(nodes), value_placeholders(nodes)


@remembering
def update_placeholders(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The #names and :values in the text of an update, each once. Raises InvalidExpression."""
    actions = parse_update(text)
    return name_placeholders(actions), value_placeholders(actions)


@remembering
def parse_projection(text: str) -> tuple[Path, ...]:
    """The paths of a projection expression. Raises InvalidExpression."""
    paths = _Parser(text, frozenset()).projection()
    functions.check_paths(paths)
    return paths


class _Group:
    """A condition under construction: the whole of it, or the content of a parenthesis that is still open."""

    __slots__ = ("alternatives", "conjuncts", "negations")

    def __init__(self) -> None:
        self.alternatives: list[Condition] = []
        self.conjuncts: list[Condition] = []
        self.negations = 0
        """NOTs that stand before the next condition."""

    def is_untouched(self) -> bool:
        return not (self.alternatives or self.conjuncts or self.negations)

    def add(self, condition: Condition) -> None:
        for _ in range(self.negations):
            condition = Not(condition)
        self.negations = 0
        self.conjuncts.append(condition)

    def end_conjunction(self) -> None:
        """The next condition is an alternative to those added since the last OR."""
        conjuncts = self.conjuncts
        self.alternatives.append(conjuncts[0] if len(conjuncts) == 1 else And(tuple(conjuncts)))
        self.conjuncts = []

    def close(self) -> Condition:
        self.end_conjunction()
        alternatives = self.alternatives
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))


class _Parser:
    """A place in a text's tokens."""

    def __init__(self, text: str, keywords: frozenset[str], shows_size: bool = True) -> None:
        self._text = text
        self._tokens = lexer.tokens(text, keywords, shows_size)
        self._position = 0
        self._kind = self._tokens[0].kind
        self._operators = 0
        self._has_redundant_parentheses = False

    def check_parentheses(self) -> None:
        """Refuses a text, otherwise fine, that has a pair of parentheses right inside another."""
        if self._has_redundant_parentheses:
            raise InvalidExpression("The expression has redundant parentheses;")

    def _advance(self) -> str:
        text = self._tokens[self._position].text
        self._move_to(self._position + 1)
        return text

    def _move_to(self, position: int) -> None:
        self._position = position
        self._kind = self._tokens[position].kind

    def _accept(self, kind: str) -> bool:
        if self._kind != kind:
            return False
        self._advance()
        return True

    def _expect(self, kind: str) -> str:
        if self._kind != kind:
            raise self._syntax_error()
        return self._advance()

    def _syntax_error(self) -> InvalidExpression:
        return lexer.syntax_error(self._text, self._tokens, self._position)

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > limits.EXPRESSION_OPERATORS:
            raise InvalidExpression(f"The expression contains too many operators; operator count: {self._operators}")

    # Conditions

    def condition(self) -> Condition:
        groups = [_Group()]
        while True:
            if self._kind == "NOT":
                self._count_operator()
                self._advance()
                groups[-1].negations += 1
            elif self._accept("("):
                groups.append(_Group())
            elif self._conjunct(groups):
                return groups[0].close()

    def _conjunct(self, groups: list[_Group]) -> bool:
        """One conjunct and the token that ends it: AND, OR or the end of the text, after which the result is True.

        A closing parenthesis turns its content into the next node, which may still be an operand.
        """
        node: Operand | Condition = self._operand()
        is_closed = False
        while True:
            kind = self._kind
            if kind in _COMPARATORS or kind == "BETWEEN" or kind == "IN":
                node, is_closed = self._comparison(self._as_operand(node)), False
            elif is_closed and isinstance(node, Path) and kind in (".", "["):
                node, is_closed = self._path(node.steps), False
            elif kind == ")" and len(groups) > 1:
                group = groups.pop()
                if not group.is_untouched():
                    group.add(self._as_condition(node))
                    node = group.close()
                elif is_closed:
                    self._has_redundant_parentheses = True
                self._advance()
                is_closed = True
            elif kind in ("AND", "OR"):
                groups[-1].add(self._as_condition(node))
                if kind == "OR":
                    groups[-1].end_conjunction()
                self._count_operator()
                self._advance()
                return False
            elif kind == lexer.END and len(groups) == 1:
                groups[0].add(self._as_condition(node))
                return True
            else:
                raise self._syntax_error()

    def _as_operand(self, node: Operand | Condition) -> Operand:
        if isinstance(node, Path | ValuePlaceholder | Call):
            return node
        raise self._syntax_error()

    def _as_condition(self, node: Operand | Condition) -> Condition:
        if isinstance(node, Comparison | Between | In | Call | Not | And | Or):
            return node
        raise self._syntax_error()

    def _comparison(self, left: Operand) -> Condition:
        self._count_operator()
        operator = self._kind
        self._advance()
        if operator == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            return Between(left, low, self._operand())
        if operator == "IN":
            self._expect("(")
            return In(left, self._operands_until_parenthesis())
        return Comparison(operator, left, self._operand())

    # Operands

    def _operand(self, may_continue: bool = True) -> Operand:
        """An operand. In conditions a path may go on after its parenthesis: "(a.b).c"."""
        opened = 0
        while self._accept("("):
            opened += 1
        node: Operand
        if self._kind == lexer.VALUE:
            node = ValuePlaceholder(self._advance())
        elif self._kind == lexer.WORD and self._tokens[self._position + 1].kind == "(":
            self._count_operator()
            function = self._advance()
            self._advance()
            node = Call(function, self._operands_until_parenthesis())
        else:
            node = self._path(())
        is_closed = False
        for _ in range(opened):
            self._expect(")")
            if is_closed:
                self._has_redundant_parentheses = True
            is_closed = True
            if may_continue and isinstance(node, Path) and self._kind in (".", "["):
                node, is_closed = self._path(node.steps), False
        return node

    def _operands_until_parenthesis(self) -> tuple[Operand, ...]:
        operands = [self._operand()]
        while self._accept(","):
            operands.append(self._operand())
        self._expect(")")
        return tuple(operands)

    def _path(self, begun: tuple[Step, ...]) -> Path:
        """A path, or the rest of one that has begun."""
        steps = list(begun) or [self._name()]
        while True:
            if self._accept("."):
                steps.append(self._name())
            elif self._accept("["):
                steps.append(int(self._expect(lexer.NUMBER)))  # Its digits are fewer than an expression may have.
                self._expect("]")
            else:
                return Path(tuple(steps))

    def _name(self) -> Step:
        if self._kind == lexer.NAME:
            return NamePlaceholder(self._advance())
        return self._expect(lexer.WORD)

    # Updates and projections

    def sections(self) -> list[tuple[str, list[Action]]]:
        sections = []
        while True:
            if self._kind not in _SECTIONS:
                raise self._syntax_error()
            verb = self._kind
            self._advance()
            actions = [self._action(verb)]
            while self._accept(","):
                actions.append(self._action(verb))
            sections.append((verb, actions))
            if self._kind == lexer.END:
                return sections

    def _action(self, verb: str) -> Action:
        path = self._path(())
        if verb == "REMOVE":
            return Action(verb, path, None)
        if verb == "SET":
            self._expect("=")
            return Action(verb, path, self._value())
        return Action(verb, path, ValuePlaceholder(self._expect(lexer.VALUE)))

    def _value(self) -> Operand:
        # "(a + b)" and "(a) + b" differ only after the operand, so the second is read again from its start.
        start, operators = self._position, self._operators
        if self._accept("("):
            node = self._sum()
            if isinstance(node, Arithmetic):
                self._expect(")")
                return node
            self._move_to(start)
            self._operators = operators
        return self._sum()

    def _sum(self) -> Operand:
        left = self._operand(may_continue=False)
        if self._kind not in ("+", "-"):
            return left
        self._count_operator()
        operator = self._kind
        self._advance()
        return Arithmetic(operator, left, self._operand(may_continue=False))

    def projection(self) -> tuple[Path, ...]:
        paths = [self._path(())]
        while self._accept(","):
            paths.append(self._path(()))
        if self._kind != lexer.END:
            raise self._syntax_error()
        return tuple(paths)
