"""TransactWriteItems of few operations, begun without waiting (`aws.short_way`).

As `short_writes`, for several operations: the long way, `transactions`, prepares, decides and charges them by the same
functions. It also answers all refusals but those that cancel the transaction because of the items.
"""

from __future__ import annotations

from asyncio import Future
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError
from jedlik.aws.service import Validate
from jedlik.dynamodb import catalog
from jedlik.dynamodb.errors import DescriptorChanged, TransactionCanceledException
from jedlik.dynamodb.items import transactions
from jedlik.dynamodb.items.client_tokens import ClientToken
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.transactions import Outcome, WriteTransaction
from jedlik.dynamodb.model.indexes import has_collections
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import NoKey

MOST = 10
"""Operations. The long way prepares more of them by turns."""


class Transaction:
    """A transaction that has been handed to the engine."""

    __slots__ = ("_context", "_request", "_transaction", "future")

    def __init__(self, context: Context, request: Request, transaction: WriteTransaction) -> None:
        self._context = context
        self._request = request
        self._transaction = transaction
        self.future: Future[Outcome] = transaction.begin(context.region)

    def answer(self, outcome: Outcome) -> Response:
        """The answer of the transaction, which is charged."""
        self._transaction.charge(self._context.meter, outcome)
        return transactions.told(self._request, self._context.meter)

    def refusal(self, error: Exception) -> ServiceError | None:
        """The error that cancels the transaction, which is charged. None for any other error that leaves nothing
        written; then the long way must examine the transaction again."""
        if isinstance(error, TransactionCanceledException):
            self._transaction.charge_canceled(self._context.meter)
            return error
        if isinstance(error, ServiceError | DescriptorChanged | NoKey):
            return None
        raise error


def begin(context: Context, request: dict[str, Any], *, validate: Validate) -> Transaction | None:
    """Begin a transaction of writes; `validate` checks the shape of the request."""
    asked = validate(request)
    elements = asked["TransactItems"]
    if len(elements) > MOST or asked.get("ReturnItemCollectionMetrics") == "SIZE":
        return None
    region = context.region
    wanted = [transactions.element(element, region.secret) for element in elements]
    transactions.check_payload(elements, wanted)
    tables: dict[str, Table] = {}
    for name, _ in wanted:
        if name not in tables:
            table = catalog.last_seen(region, name)
            if table is None or has_collections(table):
                return None
            tables[name] = table
    operations = [write.operation(tables[name]) for name, write in wanted]
    if transactions.are_of_one_item(operations):
        return None
    text = asked.get("ClientRequestToken")
    token = None if text is None else ClientToken.of("TransactWriteItems", text, elements, region.clock)
    names = [name for name, _ in wanted]
    return Transaction(context, asked, WriteTransaction(names, operations, list(tables.values()), token))
