"""Statements: refusals because of the text, before a table is read, and the values bound to parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.partiql import literals
from jedlik.dynamodb.model.partiql.statements import (
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
    statement,
)
from jedlik.dynamodb.model.values import Item


def refusal(text: str, *parameters: Any) -> str:
    """The error for a statement, bound to parameters."""
    with pytest.raises(ValidationException) as caught:
        statement(text).bound(parameters)
    return caught.value.message


def test_a_select_names_a_table_and_perhaps_an_index() -> None:
    plain = statement("SELECT * FROM Music")
    assert isinstance(plain, SelectStatement)
    assert (plain.table, plain.index, plain.projection, plain.where, plain.order) == ("Music", None, None, None, ())
    indexed = statement('SELECT * FROM "Music"."by-genre" ORDER BY Genre DESC, Year')
    assert isinstance(indexed, SelectStatement)
    assert (indexed.table, indexed.index) == ("Music", "by-genre")
    assert indexed.order == (("Genre", True), ("Year", False))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("INSERT INTO Music VALUE {'pk': 1}", InsertStatement),
        ("UPDATE Music SET a = 1 WHERE pk = 1", UpdateStatement),
        ("FROM Music WHERE pk = 1 REMOVE a", UpdateStatement),
        ("DELETE FROM Music WHERE pk = 1", DeleteStatement),
        ("EXISTS(SELECT * FROM Music WHERE pk = 1 AND a = 1)", ExistsStatement),
        ("exists (SELECT * FROM Music WHERE pk = 1 AND a = 1)", ExistsStatement),
        ("(SELECT * FROM Music)", SelectStatement),
    ],
)
def test_kinds_of_statements(text: str, kind: type) -> None:
    found = statement(text)
    assert type(found) is kind
    assert found.table == "Music"


def test_a_table_may_be_named_by_its_arn() -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Music"
    assert statement(f'SELECT * FROM "{arn}"').table == arn


TABLE_NAME = "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'."
ONE_SOURCE = "Only select from a single table or index is supported."
ONE_NAME = "FROM clause may only contain a single table name in data manipulation statements"
NO_EXISTS = "EXISTS can only be used in ExecuteTransaction write requests."
STRUCT = (
    "Unsupported format in item expression. Please use struct format {...} to express item values for insert statement."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Texts that are no statements of DynamoDB's.
        ("1", "Unsupported operation: Literal"),
        ("'x'", "Unsupported operation: Literal"),
        ("a", "Unsupported operation: VariableReference"),
        ("a.b", "Unsupported operation: Path"),
        ("?", "Unsupported operation: Parameter"),
        ("MISSING", "Unsupported operation: LiteralMissing"),
        ("[1]", "Unsupported operation: Seq"),
        ("{'a': 1}", "Unsupported operation: Struct"),
        ("x IS INT4", "Unsupported operation: IsType"),
        ("CREATE TABLE Music", "Unsupported operation: CreateTable"),
        ("DROP TABLE Music", "Unsupported operation: DropTable"),
        ("INSERT INTO Music <<{'pk': 1}>>", "Unsupported operation: InsertOp"),
        ("a + 1", NO_EXISTS),
        ("NOT EXISTS(SELECT * FROM Music)", NO_EXISTS),
        # Where it reads or writes.
        ("SELECT * FROM 'Music'", "Unexpected from source"),
        ("SELECT * FROM [1]", "Unexpected from source"),
        ("SELECT * FROM ?", "Unexpected from source"),
        ("SELECT * FROM Music, Other", ONE_SOURCE),
        ("SELECT * FROM Music JOIN Other ON a = b", ONE_SOURCE),
        ("SET a = 1", ONE_SOURCE),
        ("SELECT * FROM ab", TABLE_NAME),
        ('SELECT * FROM "a b c"', TABLE_NAME),
        ('SELECT * FROM "arn:x"', TABLE_NAME),
        ('SELECT * FROM "arn:aws:dynamodb:us-east-1:000000000000:index/Music"', TABLE_NAME),
        ("INSERT INTO \"arn:aws:dynamodb:us-east-1:000000000000:table/a\" VALUE {'pk': 1}", TABLE_NAME),
        ('SELECT * FROM ""', "Path component cannot be an empty string"),
        ('SELECT * FROM "Music".""', "Path component cannot be an empty string"),
        ('SELECT * FROM "Music"."i"."x"', "A path may contain at most 2 components in the FROM clause"),
        ("INSERT INTO Music.i VALUE {'pk': 1}", ONE_NAME),
        ("INSERT INTO Music[0] VALUE {'pk': 1}", ONE_NAME),
        ("UPDATE Music.idx SET a = 1", "This operation is not supported on an index"),
        ("DELETE FROM Music.idx", "This operation is not supported on an index"),
        (
            "EXISTS(SELECT * FROM Music.idx WHERE a = 1)",
            "Operations on indices are not supported in transactions",
        ),
        (
            "FROM Music WHERE pk = 1 INSERT INTO Music VALUE {'pk': 1}",
            "Unsupported FROM ... WHERE ... clause in INSERT statement. at 1:1:4",
        ),
        # SELECT lists.
        ("SELECT COUNT(*) FROM Music", "Unexpected path component at 1:8:5"),
        ("SELECT size(m) FROM Music", "Unexpected path component at 1:8:4"),
        ("SELECT attribute_exists(a) FROM Music", "Unexpected path component at 1:8:16"),
        ("SELECT 1 FROM Music", "Unexpected path component at 1:8:1"),
        ("SELECT l[1.5] FROM Music", "Unexpected path component at 1:10:3"),
        ("SELECT l[?] FROM Music", "Unexpected path component at 1:10:1"),
        ("SELECT l[-1] FROM Music", "List index is not within the allowable range; index: [-1] at 1:11:1"),
        (
            "SELECT l[99999999999] FROM Music",
            "List index is not within the allowable range; index: [99999999999] at 1:10:11",
        ),
        ("SELECT n.* FROM Music", "Changing item's hierarchy while reading isn't supported"),
        ('SELECT "" FROM Music', "Path component cannot be an empty string"),
        ("SELECT m['']  FROM Music", "Path component cannot be an empty string"),
        ("SELECT pk, pk FROM Music", "Duplicate identifiers in select clause: pk"),
        ("SELECT a.x, b.x FROM Music", "Duplicate identifiers in select clause: x"),
        (
            "SELECT m.l[1], m.l FROM Music",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [m, l, [1]], path two: [m, l]",
        ),
        # ORDER BY.
        ("SELECT * FROM Music ORDER BY a.b", "Argument to ORDER BY must be of type VariableReference. Type: PATH"),
        ("SELECT * FROM Music ORDER BY size(a)", "Argument to ORDER BY must be of type VariableReference. Type: size"),
        # INSERT.
        ("INSERT INTO Music VALUE 1", f"{STRUCT} at 1:25:1"),
        ("INSERT INTO Music VALUE ?", f"{STRUCT} at 1:25:1"),
        (
            "INSERT INTO Music VALUE {'pk': 1, 'pk': 2}",
            "Duplicate keys in tuple. Key: pk under root at 1:35:4",
        ),
        (
            'INSERT INTO Music VALUE {"pk": 1}',
            "Tuple keys must be of type String. Actual type: VariableReference under root at 1:26:4",
        ),
        ("INSERT INTO Music VALUE {1: 1}", "Tuple keys must be of type String. Actual type: INT under root at 1:26:1"),
        ("INSERT INTO Music VALUE {'': 1}", "Path component cannot be an empty string"),
        ("INSERT INTO Music VALUE {'a': b}", "Unsupported data type: b under key root at 1:31:1"),
        ("INSERT INTO Music VALUE {'a': MISSING}", "Unsupported data type: MISSING under key root at 1:31:7"),
        ("INSERT INTO Music VALUE {'a': 1 + 2}", "Unsupported data type: + under key root at 1:33:1"),
        (
            "INSERT INTO Music VALUE {'a': set_add(<<'a'>>, <<'b'>>)}",
            "Unsupported data type: set_add under key root at 1:31:7",
        ),
        ("INSERT INTO Music VALUE {'a': [?]}", "Unsupported data type: Parameter under key root[0] at 1:32:1"),
        ("INSERT INTO Music VALUE {'a': `1`}", "Ion Literals are not supported under key root at 1:31:3"),
        ("INSERT INTO Music VALUE {'a': <<>>}", "Empty bags are not supported"),
        (
            "INSERT INTO Music VALUE {'a': <<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        (
            "INSERT INTO Music VALUE {'a': <<?>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        # RETURNING.
        *[
            (
                f"DELETE FROM Music WHERE pk = 'x' RETURNING {values} *",
                f"Invalid returning clause: RETURNING {values} *. "
                "Only RETURNING ALL OLD * is allowed in DELETE statements.",
            )
            for values in ("MODIFIED OLD", "ALL NEW", "MODIFIED NEW")
        ],
    ],
)
def test_statements_that_are_refused_for_their_text(text: str, message: str) -> None:
    assert refusal(text) == message


OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM Music WHERE pk = 1e126", f"{OVERFLOW} under root"),
        ("SELECT * FROM Music WHERE pk = 1e-131", f"{UNDERFLOW} under root"),
        ("SELECT * FROM Music WHERE pk = 1e2147483647", f"{UNDERFLOW} under root"),
        (f"SELECT * FROM Music WHERE pk = {'123456789' * 4}123", f"{DIGITS} under root"),
        ("INSERT INTO Music VALUE {'pk': 1e126}", f"{OVERFLOW} under root"),
        ("UPDATE Music SET a = 1e-131 WHERE pk = 5", f"{UNDERFLOW} under root"),
        ("INSERT INTO Music VALUE {'pk': 1, 'm': {'x': 1e126}}", f"{OVERFLOW} under root.x"),
        ("INSERT INTO Music VALUE {'pk': 1, 'l': [1, 1e126]}", f"{OVERFLOW} under root[1]"),
        ("INSERT INTO Music VALUE {'pk': 1, 'l': [{'x': [1e126]}]}", f"{OVERFLOW} under root[0].x[0]"),
    ],
)
def test_numbers_are_refused_with_their_place_in_the_value(text: str, message: str) -> None:
    assert refusal(text) == message


PATH_ONLY = "Operator or function requires a document path; operator or function: attribute_exists"
COUNT = "Incorrect number of operands for operator or function; operator or function: "
WRONG_TYPE = "Incorrect operand type for operator or function; operator or function: "
MEMBERSHIP = (
    "IN operator must have a left hand argument of type Variable Reference "
    "and right hand argument of type Seq with at least one member"
)
IS_TYPES = "[MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]"
NOT_BOOLEAN = "WHERE clause must contain an expression that resolves to a boolean"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("a", NOT_BOOLEAN),
        ("true", NOT_BOOLEAN),
        ("size(a)", NOT_BOOLEAN),
        ("a = 1 AND true", "The arguments to AND/OR must be Expressions"),
        ("a = 1 OR b", "The arguments to AND/OR must be Expressions"),
        ("NOT a", "The argument to NOT must be a Type or Expression"),
        ("a LIKE 'x%'", "Unsupported operator in Condition Expression. Operator: like"),
        ("a + 1 = 2", "Unsupported operator in Condition Expression. Operator: +"),
        ("a = 5 - 5", "Unsupported operator in Condition Expression. Operator: -"),
        ("a = b * 2", "Unsupported operator in Condition Expression. Operator: *"),
        ("a = -b", f"{COUNT}-, number of operands: 1"),
        ("foo(a)", "Unrecognized function: foo at 1:27:3"),
        ("EXISTS(a)", "Unrecognized function: exists at 1:27:6"),
        ("set_add(a, <<'x'>>) = a", "Unrecognized function: set_add at 1:27:7"),
        ("a = (SELECT * FROM Other)", "Unsupported token in expression: SELECT at 1:32:6"),
        ("a = MISSING", "MISSING must be compared using IS operator"),
        ("a IS INT", f"Unsupported data type for IS operator: INTEGER. Supported data types are {IS_TYPES} at 1:29:2"),
        ("a IN []", MEMBERSHIP),
        ("a IN ()", MEMBERSHIP),
        ("a IN ?", MEMBERSHIP),
        ("1 IN b", MEMBERSHIP),
        ("attribute_exists('a')", PATH_ONLY),
        ("attribute_exists()", f"{COUNT}attribute_exists, number of operands: 0"),
        ("attribute_exists(a, b)", f"{COUNT}attribute_exists, number of operands: 2"),
        ("size(a, b) = 1", f"{COUNT}size, number of operands: 2"),
        ("begins_with(a, 1)", f"{WRONG_TYPE}begins_with, operand type: N"),
        ("a < true", f"{WRONG_TYPE}<, operand type: BOOL"),
        ("(a = 1) < true", f"{WRONG_TYPE}<, operand type: BOOL"),
        (
            "attribute_type(a, 'X')",
            "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "a = a",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: =, first operand: [a]",
        ),
        (
            "a BETWEEN 20 AND 10",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {N:20}, upper bound operand: AttributeValue: {N:10}",
        ),
        (
            f"a IN [{', '.join(map(str, range(101)))}]",
            "The IN operator is provided with too many operands; number of operands: 101",
        ),
    ],
)
def test_conditions_that_are_refused(where: str, message: str) -> None:
    text = f"SELECT * FROM Music WHERE {where}"
    parameters = [{"S": "x"}] * text.count("?")
    assert refusal(text, *parameters) == message


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("value", [{"BOOL": True}, {"NULL": True}, {"L": []}, {"M": {}}, {"SS": ["a"]}])
def test_a_parameter_without_an_order_is_refused_by_its_type(operator: str, value: dict[str, Any]) -> None:
    (type_,) = value
    assert refusal(f"SELECT * FROM Music WHERE a {operator} ?", value) == (
        f"{WRONG_TYPE}{operator}, operand type: {type_}"
    )


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ("SET a = b * 2", "Unsupported operator in Update Expression. Operator: *"),
        ("SET a = b || 'x'", "Unsupported operator in Update Expression. Operator: ||"),
        ("SET a = (b = 1)", "Unsupported operator in Update Expression. Operator: ="),
        ("SET a = -b", f"{COUNT}-, number of operands: 1"),
        ("SET a = 'x' + 1", f"{WRONG_TYPE}+, operand type: S"),
        ("SET a = MISSING", "MISSING must be compared using IS operator"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = foo(b)", "Unrecognized function: foo at 1:22:3"),
        ("SET a = list_append(b)", f"{COUNT}list_append, number of operands: 1"),
        ("SET a = list_append(b, 1)", f"{WRONG_TYPE}list_append, operand type: N"),
        ("SET a = [b, 1]", "Unsupported data type: VariableReference under key root[0] at 1:23:1"),
        ("SET a = (SELECT * FROM Other)", "Unsupported token in expression: SELECT at 1:23:6"),
        ("SET a = set_add(b, <<'x'>>)", "The first argument to SET_ADD must equal the assignment value at 1:22:7"),
        ("SET a = SET_DELETE(b, <<1>>)", "The first argument to SET_DELETE must equal the assignment value at 1:22:10"),
        (
            "SET a = set_add(<<'a'>>, <<'b'>>)",
            "The first argument to SET_ADD must equal the assignment value at 1:22:7",
        ),
        ("SET a = set_add(a)", "SET_ADD must have exactly two arguments at 1:22:7"),
        ("SET a = set_add(a, <<1>>, <<2>>)", "SET_ADD must have exactly two arguments at 1:22:7"),
        ("SET a = set_add(a, 'x')", "The second argument to SET_ADD must be a value with type SET at 1:30:1"),
        ("SET a = set_add(a, b)", "The second argument to SET_ADD must be a value with type SET at 1:30:1"),
        ("SET a = set_delete(a, ['x'])", "The second argument to SET_DELETE must be a value with type SET at 1:33:1"),
        ("SET a = set_delete(a, ?)", "The second argument to SET_DELETE must be a value with type SET at 1:33:1"),
        ("SET a = set_add(a, <<>>)", "Empty bags are not supported"),
        (
            "SET a = set_add(a, <<'x', 'x'>>)",
            "One or more parameter values were invalid: Input collection [x, x] contains duplicates.",
        ),
        (
            "SET a = 1 SET a.b = 2",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a, b]",
        ),
        (
            "REMOVE a SET a = 3",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a]",
        ),
    ],
)
def test_changes_that_are_refused(clauses: str, message: str) -> None:
    text = f"UPDATE Music {clauses} WHERE pk = 1"
    assert refusal(text, *[{"S": "x"}] * text.count("?")) == message


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_request_has_as_many_parameters_as_its_statement(count: int) -> None:
    message = refusal("SELECT * FROM Music WHERE a = ? AND b = ?", *[{"S": "x"}] * count)
    assert message == "Number of parameters in request and statement don't match."


def test_a_statement_is_parsed_once_for_its_text() -> None:
    text = "SELECT * FROM Music WHERE pk = ? AND a IS NOT NULL"
    assert statement(text) is statement(text)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"N": "1e99999999999"}, "The parameter cannot be converted to a numeric value: 1e99999999999"),
        ({"N": "-1e2147483648"}, "The parameter cannot be converted to a numeric value: -1e2147483648"),
        ({"N": "1e-2147483648"}, "The parameter cannot be converted to a numeric value: 1e-2147483648"),
        ({"N": "1e2147483647"}, UNDERFLOW),
        ({"N": "1e126"}, OVERFLOW),
        ({"N": ""}, "The parameter cannot be converted to a numeric value"),
        ({"N": "abc"}, "The parameter cannot be converted to a numeric value: abc"),
        (
            {"L": [{"N": "1"}, {"M": {"x": {"N": "1e99999999999"}}}]},
            "The parameter cannot be converted to a numeric value: 1e99999999999",
        ),
        ({"NS": ["1", "1e99999999999"]}, "The parameter cannot be converted to a numeric value: 1e99999999999"),
        ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ],
)
def test_parameters_are_read_as_java_reads_numbers(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as caught:
        literals.parameter(raw)
    assert caught.value.message == message


def test_parameters_are_normalised() -> None:
    assert literals.parameter({"N": "1.50e1"}) == {"N": "15"}
    assert literals.parameter({"L": [{"N": "007"}]}) == {"L": [{"N": "7"}]}


@pytest.mark.parametrize(
    ("columns", "selected"),
    [
        ("pk, l", {"pk": {"S": "a"}, "l": {"L": [{"N": "1"}, {"N": "2"}]}}),
        ("m.x", {"x": {"S": "deep"}}),
        ("m['x']", {"x": {"S": "deep"}}),
        ("l[1]", {"l[1]": {"N": "2"}}),
        ("l[0], l[1]", {"l[0]": {"N": "1"}, "l[1]": {"N": "2"}}),
        ("m.n[0][1]", {"n[0][1]": {"BOOL": True}}),
        ("m.nope, pk", {"pk": {"S": "a"}}),
        ("l[7], pk.x", {}),
    ],
)
def test_a_selected_value_is_named_after_the_last_name_of_its_path(columns: str, selected: dict[str, Any]) -> None:
    item: Item = {
        "pk": {"S": "a"},
        "l": {"L": [{"N": "1"}, {"N": "2"}]},
        "m": {"M": {"x": {"S": "deep"}, "n": {"L": [{"L": [{"N": "1"}, {"BOOL": True}]}]}}},
    }
    found = statement(f"SELECT {columns} FROM Music")
    assert isinstance(found, SelectStatement)
    assert found.projection is not None
    assert found.projection.apply(item) == selected


@given(st.sampled_from(["", "SELECT * FROM Music WHERE a = "]), st.text(max_size=60))
def test_any_characters_are_a_statement_or_are_refused(beginning: str, text: str) -> None:
    try:
        statement(beginning + text)
    except ValidationException as caught:
        event(caught.message.partition(":")[0])
