"""Expressions: operator precedence (Pratt, "Top down operator precedence", POPL 1973) over a list of tokens.

The grammar is PartiQL's (partiql.org). DynamoDB's message for a syntax error depends on where in the grammar the text
leaves it. So precedences and the order of alternatives matter even for texts that DynamoDB would refuse anyway.

    expression = unary {infix expression | [NOT] BETWEEN expression AND expression | IS [NOT] type | [NOT] IN list}
    unary      = {"+" | "-"} term steps | NOT {NOT} expression
    steps      = {"." (name | "*") | "[" expression "]"}
    path       = name steps                               with no star in it; statements have it
    term       = literal | "?" | MISSING | name | name list | VALUES list {"," list} | list
               | "[" [expression {"," ...}] "]" | "<<" [expression {"," ...}] ">>"
               | "{" [expression ":" expression {"," ...}] "}"
    list       = "(" [expression {"," ...}] ")"           with one expression, a group
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.partiql.errors import invalid, malformed
from jedlik.dynamodb.model.partiql.partiql_lexer import Token
from jedlik.dynamodb.model.partiql.syntax import (
    Bag,
    Between,
    Binary,
    Call,
    Ion,
    Is,
    ListOf,
    Literal,
    Logical,
    Missing,
    Name,
    Node,
    Parameter,
    Path,
    Star,
    Struct,
    Unary,
)

T = TypeVar("T")

NESTING = 60
"""The most expressions within expressions: more than the levels that a value may have, and few enough for the
interpreter's stack."""

_NOT = 30
_PRECEDENCE = {
    **dict.fromkeys(("union", "except", "intersect"), 5),
    "or": 10,
    "and": 20,
    **dict.fromkeys(("=", "<>", "is", "in", "not in"), 40),
    **dict.fromkeys(("<", "<=", ">", ">=", "between", "not between", "like", "not like"), 50),
    **dict.fromkeys(("+", "-", "||"), 60),
    **dict.fromkeys(("*", "/", "%"), 70),
}
"""How tightly infix operators bind."""

_FUNCTIONS = """
    avg bag bit_length char_length character_length coalesce count exists list lower max min nullif octet_length sexp
    size substring sum upper
"""
_FUNCTION_KEYWORDS = frozenset(_FUNCTIONS.split())
"""Reserved words that name a function when a parenthesis follows."""

_TYPES = {
    **{name.lower(): name for name in ("MISSING", "NULL", "BOOLEAN", "SMALLINT", "INTEGER", "FLOAT", "REAL")},
    **{name.lower(): name for name in ("DECIMAL", "NUMERIC", "TIMESTAMP", "DATE", "TIME", "CHARACTER", "STRING")},
    **{name.lower(): name for name in ("SYMBOL", "CLOB", "BLOB", "STRUCT", "TUPLE", "LIST", "SEXP", "BAG")},
    "bool": "BOOLEAN",
    "int": "INTEGER",
    "int4": "INTEGER4",
    "int8": "INTEGER8",
    "dec": "DECIMAL",
    "char": "CHARACTER",
    "varchar": "CHARACTER_VARYING",
    "character varying": "CHARACTER_VARYING",
    "double precision": "DOUBLE_PRECISION",
}
"""The types that may follow IS, with their proper names."""


class ExpressionParser:
    """A position in a list of tokens, with the counts on the way there."""

    __slots__ = ("depth", "index", "operators", "parameters", "tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0
        self.depth = 0
        self.operators = 0
        self.parameters = 0

    @property
    def head(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        """The head, which is consumed unless it is the end."""
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether these keywords and symbols come next."""
        following = self.tokens[self.index : self.index + len(texts)]
        return all(t.reserved for t in following) and tuple(t.text for t in following) == texts

    def skip(self, *texts: str) -> bool:
        """Whether these keywords and symbols come next; if so they are consumed."""
        if not self.at(*texts):
            return False
        self.index += len(texts)
        return True

    def expect(self, text: str, message: str) -> None:
        if not self.skip(text):
            raise malformed(message)

    def comma_list(self, item: Callable[[], T]) -> tuple[T, ...]:
        items = [item()]
        while self.skip(","):
            items.append(item())
        return tuple(items)

    def expression(self, precedence: int = 0) -> Node:
        """The longest expression whose infix operators bind tighter than `precedence`."""
        self.depth += 1
        if self.depth > NESTING:
            raise malformed("Expression is nested too deeply")
        node = self.unary()
        while (operator := self.infix()) is not None and _PRECEDENCE[operator] > precedence:
            node = self.operation(operator, node)
        self.depth -= 1
        return node

    def infix(self) -> str | None:
        """The infix operator at the head."""
        head = self.head
        if not head.reserved:
            return None
        text = f"not {self.tokens[self.index + 1].text}" if head.text == "not" else head.text
        return text if text in _PRECEDENCE else None

    def operation(self, operator: str, left: Node) -> Node:
        """The node of the infix operator at the head, with the operands before it and after it."""
        token = self.take()
        negated = operator.startswith("not ") and self.take() is not None
        self.count_operator()
        node = self.positive_operation(token, operator.removeprefix("not "), left)
        return Unary(token, "not", node) if negated else node

    def positive_operation(self, token: Token, operator: str, left: Node) -> Node:
        if operator == "is":
            return self.type_test(token, left)
        if operator == "in" and self.at("(") and not self.at("(", "select") and not self.at("(", "values"):
            return Binary(token, operator, left, ListOf(self.head, self.parenthesised()))
        if self.head.kind == "end":
            raise malformed("Missing right-hand side expression of infix operator")
        right = self.expression(_PRECEDENCE[operator])
        if operator == "between":
            self.expect("and", "Expected AND")
            if self.head.kind == "end":
                raise malformed("Expected expression after AND")
            return Between(token, left, right, self.expression(_PRECEDENCE[operator]))
        if operator in ("and", "or"):
            # A chain is one node, so that its length is no depth.
            operands = left.operands if isinstance(left, Logical) and left.operator == operator else (left,)
            return Logical(token, operator, (*operands, right))
        return Binary(token, operator, left, right)

    def type_test(self, token: Token, operand: Node) -> Node:
        negated = self.skip("not")
        name = self.take()
        text = name.text.lower()
        if self.at("precision") or self.at("varying"):
            text = f"{text} {self.take().text}"
        if name.kind == "quoted" or text not in _TYPES:
            raise malformed("Expected type name")
        node = Is(token, operand, _TYPES[text])
        return Unary(token, "not", node) if negated else node

    def count_operator(self) -> None:
        self.operators += 1
        if self.operators > limits.EXPRESSION_OPERATORS:
            raise invalid(f"The expression contains too many operators; operator count: {self.operators}")

    def unary(self) -> Node:
        """A term with its path, after the signs or the NOTs before it."""
        prefixes: list[Token] = []
        while self.head.reserved and self.head.text in ("not", "-", "+"):
            if prefixes and (prefixes[-1].text == "not") != (self.head.text == "not"):
                break
            prefixes.append(self.take())
            self.count_operator()
        negated = bool(prefixes) and prefixes[-1].text == "not"
        node = self.expression(_NOT) if negated else self.path(self.term())
        for prefix in reversed(prefixes):
            node = _prefixed(prefix, node)
        return node

    def term(self) -> Node:
        token = self.head
        if token.kind == "keyword":
            return self.keyword_term(token)
        if token.kind == "symbol":
            return self.symbol_term(token)
        self.take()
        match token.kind:
            case "identifier" | "quoted" if self.at("("):
                return Call(token, token.text.lower(), self.parenthesised())
            case "identifier" | "quoted":
                return Name(token, token.text)
            case "string" | "number":
                return Literal(token, token.text)
            case "ion":
                return Ion(token)
        raise malformed("Unexpected term")

    def keyword_term(self, token: Token) -> Node:
        self.take()
        if token.text in ("true", "false", "null"):
            return Literal(token, token.text)
        if token.text == "missing":
            return Missing(token)
        if token.text in _FUNCTION_KEYWORDS and self.at("("):
            return Call(token, token.text, self.parenthesised())
        if token.text == "values":
            return Bag(token, self.comma_list(self.row))
        raise malformed("Unexpected operator" if token.text in _PRECEDENCE else "Unexpected keyword")

    def symbol_term(self, token: Token) -> Node:
        match token.text:
            case "?":
                self.parameters += 1
                return Parameter(self.take(), self.parameters - 1)
            case "(":
                members = self.parenthesised()
                if not members:
                    raise malformed("Expression group cannot be empty")
                return ListOf(token, members) if len(members) > 1 else members[0]
            case "[":
                return ListOf(token, self.bracketed("]", "RIGHT_BRACKET", self.expression))
            case "<<":
                return Bag(token, self.bracketed(">>", "RIGHT_DOUBLE_ANGLE_BRACKET", self.expression))
            case "{":
                return Struct(token, self.bracketed("}", "RIGHT_CURLY", self.field))
        # In PartiQL's lexer a star is not an operator.
        raise malformed("Unexpected operator" if token.text in _PRECEDENCE and token.text != "*" else "Unexpected term")

    def row(self) -> Node:
        if not self.at("("):
            raise malformed("Expected LEFT_PAREN for row value constructor")
        return ListOf(self.head, self.parenthesised())

    def field(self) -> tuple[Node, Node]:
        name = self.expression()
        self.expect(":", "expected token of type COLON")
        return name, self.expression()

    def parenthesised(self) -> tuple[Node, ...]:
        if self.skip("(", "*", ")"):  # COUNT(*)
            return ()
        return self.bracketed(")", "RIGHT_PAREN", self.expression)

    def bracketed(self, closing: str, token_type: str, item: Callable[[], T]) -> tuple[T, ...]:
        """Zero or more items between the bracket at the head and `closing`."""
        self.take()
        if self.skip(closing):
            return ()
        items = self.comma_list(item)
        self.expect(closing, f"expected token of type {token_type}")
        return items

    def path(self, root: Node) -> Node:
        """`root`, with the steps that follow it."""
        steps: list[Node] = []
        while True:
            if self.skip("."):
                steps.append(self.component())
            elif self.skip("["):
                steps.append(self.expression())
                self.expect("]", "expected token of type RIGHT_BRACKET")
            else:
                return Path(root.token, root, tuple(steps)) if steps else root

    def component(self) -> Node:
        token = self.take()
        if token.kind in ("identifier", "quoted"):
            return Name(token, token.text)
        if token.text == "*" and token.reserved:
            return Star(token)
        raise malformed("Invalid path dot component")

    def simple_path(self) -> Node:
        """A path that begins with a name: a table, or the target of SET and REMOVE."""
        token = self.take()
        if token.kind not in ("identifier", "quoted"):
            raise malformed("Expected identifier for simple path")
        node = self.path(Name(token, token.text))
        for step in node.steps if isinstance(node, Path) else ():
            if isinstance(step, Star):
                raise malformed("Invalid path dot component for simple path")
            if not isinstance(step, Name | Literal):
                raise malformed("Invalid path component for simple path")
        return node


def _prefixed(prefix: Token, node: Node) -> Node:
    """`node` under a prefix operator; the sign of a number becomes a part of it."""
    if prefix.text == "not" or not isinstance(node, Literal) or node.token.kind != "number":
        return Unary(prefix, prefix.text, node)
    if prefix.text == "+":
        return node
    return Literal(node.token, node.text[1:] if node.text.startswith("-") else f"-{node.text}")
