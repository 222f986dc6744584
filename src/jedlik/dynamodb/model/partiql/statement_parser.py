"""Statements, which are terms of the language like any other.

`SELCT * FROM t` is a product whose right factor is a FROM clause without an action; that is why DynamoDB answers
"Expected data manipulation". Clauses that DynamoDB does not have are refused where they begin.

    text       = expression [";"]      of whose terms these are some, besides those of `expression_parser`:
    query      = SELECT [ALL] ("*" | expression {"," expression}) FROM sources [where]
                 [ORDER BY expression [ASC | DESC] {"," ...}]
    update     = UPDATE path actions [where] [returning]
    deletion   = DELETE FROM path [where] [returning]
    from_first = FROM sources [where] actions [returning]
    alone      = actions [returning]                       INSERT INTO is one of these
    actions    = {SET path "=" expression {"," ...} | REMOVE path | INSERT INTO path [VALUE] expression}
    sources    = expression {("," | JOIN) expression [ON expression]}
    where      = WHERE expression
    returning  = RETURNING (ALL | MODIFIED) (OLD | NEW) "*"
    definition = (CREATE | DROP) TABLE name
"""

from __future__ import annotations

from jedlik.dynamodb.model.partiql.errors import ALIASING, invalid, malformed
from jedlik.dynamodb.model.partiql.expression_parser import ExpressionParser
from jedlik.dynamodb.model.partiql.partiql_lexer import Token, tokens
from jedlik.dynamodb.model.partiql.syntax import (
    Action,
    Assignment,
    Definition,
    Insertion,
    Manipulation,
    Node,
    Query,
    Removal,
    Star,
)


def parse(text: str) -> tuple[Node, int]:
    """The tree of a statement's text, and the number of its parameters. Raises ValidationException."""
    parser = StatementParser(tokens(text))
    node = parser.expression()
    semicolon = parser.skip(";")
    if parser.head.kind != "end":
        if semicolon:
            raise malformed("Unexpected token after semicolon. (Only one query is allowed.)")
        raise malformed("Unexpected token after expression")
    return node, parser.parameters


class StatementParser(ExpressionParser):
    """A parser that knows the words with which statements begin."""

    __slots__ = ()

    def keyword_term(self, token: Token) -> Node:
        if self.at("set") or self.at("remove") or self.at("insert", "into"):
            return Manipulation(token, (), self.actions(), None, self.returning())
        parse_statement = {
            "select": self.query,
            "update": self.update,
            "delete": self.deletion,
            "from": self.from_first,
            "create": self.definition,
            "drop": self.definition,
        }.get(token.text)
        return parse_statement(self.take()) if parse_statement else super().keyword_term(token)

    def query(self, token: Token) -> Node:
        if self.at("distinct"):
            raise invalid("Unsupported token in expression: DISTINCT")
        if self.at("value"):
            raise invalid("Select projection doesn't support value or pivot keywords")
        self.skip("all")
        projection = self.projection()
        self.expect("from", "Expected FROM after SELECT list")
        sources = self.sources()
        where = self.where()
        for clause in ("group", "having"):
            if self.at(clause):
                raise invalid("Unsupported clause: GROUP BY" if clause == "group" else "Unsupported clause: HAVING")
        order: tuple[tuple[Node, bool], ...] = ()
        if self.skip("order"):
            self.expect("by", "Expected BY")
            order = self.comma_list(self.ordering)
        if self.skip("limit"):
            raise invalid(f"Unsupported clause: LIMIT at {self.expression().token.place}")
        return Query(token, projection, sources, where, order)

    def projection(self) -> tuple[Node, ...] | None:
        items = self.comma_list(lambda: Star(self.take()) if self.at("*") else self.unaliased(self.expression()))
        if not any(isinstance(item, Star) for item in items):
            return items
        if len(items) > 1:
            raise malformed(
                "Other expressions may not be present in the select list when '*' is used without dot notation."
            )
        return None

    def ordering(self) -> tuple[Node, bool]:
        node = self.expression()
        down = self.skip("desc")
        if not down:
            self.skip("asc")
        return node, down

    def sources(self) -> tuple[Node, ...]:
        """The source after FROM, with everything joined to it."""
        sources = [self.unaliased(self.expression())]
        while self.skip(",") or self.skip("join"):
            sources.append(self.unaliased(self.expression()))
            if self.skip("on"):
                self.expression()
        return tuple(sources)

    def where(self) -> Node | None:
        return self.expression() if self.skip("where") else None

    def unaliased(self, node: Node) -> Node:
        """`node`, which no other name may follow."""
        if self.head.kind in ("identifier", "quoted"):
            raise invalid(ALIASING)
        for word in ("as", "at", "by"):
            if self.skip(word):
                if self.head.kind not in ("identifier", "quoted"):
                    raise malformed(f"Expected identifier for {word.upper()}-alias")
                raise invalid(ALIASING)
        return node

    def update(self, token: Token) -> Node:
        source = self.unaliased(self.simple_path())
        actions = self.actions()
        where = self.where()
        return Manipulation(token, (source,), actions, where, self.returning())

    def deletion(self, token: Token) -> Node:
        self.expect("from", "Expected FROM after DELETE")
        source = self.unaliased(self.simple_path())
        where = self.where()
        return Manipulation(token, (source,), (), where, self.returning())

    def from_first(self, token: Token) -> Node:
        sources = self.sources()
        where = self.where()
        actions = self.actions()
        return Manipulation(token, sources, actions, where, self.returning())

    def actions(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        while True:
            token = self.head
            if self.skip("set"):
                actions += self.comma_list(self.assignment)
            elif self.skip("remove"):
                actions.append(Removal(token, self.simple_path()))
            elif self.skip("insert", "into"):
                actions.append(self.insertion(token))
            elif actions:
                return tuple(actions)
            else:
                raise malformed("Expected data manipulation")

    def assignment(self) -> Assignment:
        token = self.head
        target = self.simple_path()
        self.expect("=", "Expected '='")
        return Assignment(token, target, self.expression())

    def insertion(self, token: Token) -> Insertion:
        target = self.simple_path()
        has_value = self.skip("value")
        value = self.expression()
        if self.at("at"):
            raise invalid(f"AT is not supported in insert statements. at {token.place}")
        if self.at("on", "conflict"):
            raise invalid("Unsupported clause: ON CONFLICT")
        if self.at("returning"):
            raise invalid("RETURNING is not supported in INSERT")
        return Insertion(token, target, value, has_value)

    def returning(self) -> str | None:
        if not self.skip("returning"):
            return None
        which = self.take().text
        when = self.take().text
        if which not in ("all", "modified") or when not in ("old", "new"):
            raise malformed("Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.")
        if not self.skip("*"):
            self.expression()
            raise invalid("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
        if self.at(","):
            raise invalid("Invalid syntax with multiple returning elements in RETURNING clause")
        return f"{which} {when}".upper()

    def definition(self, token: Token) -> Node:
        verb = token.text.capitalize()
        self.expect("table", f"Unexpected token following {verb.upper()}")
        if self.take().kind not in ("identifier", "quoted"):
            raise malformed("Expected identifier!")
        if self.head.kind != "end" and not self.at(";"):
            raise malformed(f"Unexpected tokens after {verb.upper()} statement!")
        return Definition(token, f"{verb}Table")
