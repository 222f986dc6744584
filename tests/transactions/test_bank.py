"""A bank: many clients make transfers, the server is killed again and again, and money is neither created nor lost."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from testing.jedlik_process import Server, eventually

ACCOUNTS = [f"account {number}" for number in range(6)]
OPENING = 100
TOTAL = OPENING * len(ACCOUNTS)
TELLERS = 4
AUDITORS = 2
KILLS = 3
TRANSFERS = 150
"""Transfers that are made before each kill."""
PATIENCE = 60.0
"""Seconds for which a client tries to reach a server that is down."""


class Teller:
    """A client that makes transfers, and repeats each until it knows the outcome."""

    def __init__(self, client: Any, seed: int) -> None:
        self.moved: Counter[str] = Counter()
        """The sums that its completed transfers have added to each account."""
        self.done = 0
        self.refused = 0
        self.repeated = 0
        """Transfers whose first answer was lost."""
        self._client = client
        self._chance = random.Random(seed)

    def run(self, closing: threading.Event) -> None:
        while not closing.is_set():
            source, target = self._chance.sample(ACCOUNTS, 2)
            amount = self._chance.randint(1, 60)
            if self._transfer(source, target, amount):
                self.done += 1
                self.moved[source] -= amount
                self.moved[target] += amount
            else:
                self.refused += 1

    def _transfer(self, source: str, target: str, amount: int) -> bool:
        """Whether the transfer was made: it is refused if the source has too little."""
        take = update(source, "SET balance = balance - :amount", amount)
        take["Update"]["ConditionExpression"] = "balance >= :amount"
        put = update(target, "SET balance = balance + :amount", amount)
        request = {
            "TransactItems": [take, put],
            "ClientRequestToken": str(uuid.UUID(int=self._chance.getrandbits(128))),
        }
        patience = time.monotonic() + PATIENCE
        while True:
            try:
                self._client.transact_write_items(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                reasons = error.response["CancellationReasons"]
                assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed", "None"]
                return False
            except BotoCoreError:
                # It may have been made. The token makes sure that it is made once.
                if time.monotonic() > patience:
                    raise
                self.repeated += 1
                time.sleep(0.05)
            else:
                return True


class Auditor:
    """A client that counts the money, again and again."""

    def __init__(self, client: Any) -> None:
        self.totals: Counter[int] = Counter()
        self._client = client

    def run(self, closing: threading.Event) -> None:
        while not closing.is_set():
            for balances in (balances_in_transaction, balances_in_batch):
                try:
                    self.totals[sum(balances(self._client).values())] += 1
                except BotoCoreError:
                    time.sleep(0.05)


def update(account: str, expression: str, amount: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "bank",
            "Key": {"account": {"S": account}},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": {":amount": {"N": str(amount)}},
        }
    }


def balances_in_transaction(client: Any) -> dict[str, int]:
    gets = [{"Get": {"TableName": "bank", "Key": {"account": {"S": account}}}} for account in ACCOUNTS]
    answer = client.transact_get_items(TransactItems=gets)
    return {each["Item"]["account"]["S"]: int(each["Item"]["balance"]["N"]) for each in answer["Responses"]}


def balances_in_batch(client: Any) -> dict[str, int]:
    """The same by BatchGetItem, which reads one snapshot here."""
    asked = {"Keys": [{"account": {"S": account}} for account in ACCOUNTS], "ConsistentRead": True}
    answer = client.batch_get_item(RequestItems={"bank": asked})
    return {each["account"]["S"]: int(each["balance"]["N"]) for each in answer["Responses"]["bank"]}


def open_accounts(client: Any) -> None:
    client.create_table(
        TableName="bank",
        KeySchema=[{"AttributeName": "account", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    opening = {"balance": {"N": str(OPENING)}}
    puts = [{"Put": {"TableName": "bank", "Item": {"account": {"S": account}} | opening}} for account in ACCOUNTS]
    client.transact_write_items(TransactItems=puts)


def test_no_money_is_made_or_lost(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2)
    open_accounts(server.client())
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=5)
    tellers = [Teller(server.client(config=config), seed) for seed in range(TELLERS)]
    auditors = [Auditor(server.client(config=config)) for _ in range(AUDITORS)]
    closing = threading.Event()

    def transfers() -> int:
        return sum(teller.done + teller.refused for teller in tellers)

    with ThreadPoolExecutor(TELLERS + AUDITORS) as threads:
        running = [threads.submit(teller.run, closing) for teller in tellers]
        running += [threads.submit(auditor.run, closing) for auditor in auditors]
        try:
            for _ in range(KILLS):
                enough = transfers() + TRANSFERS
                eventually(lambda enough=enough: transfers() > enough)  # type: ignore[misc]
                server.kill()
                server.restart()
            eventually(lambda: sum(teller.done for teller in tellers) > 100)
            eventually(lambda: sum(teller.refused for teller in tellers) > 10)
            eventually(lambda: all(sum(auditor.totals.copy().values()) > 100 for auditor in auditors))
        finally:
            closing.set()
        for each in running:
            each.result()

    expected = Counter(dict.fromkeys(ACCOUNTS, OPENING))
    for teller in tellers:
        expected.update(teller.moved)
    assert balances_in_transaction(server.client()) == expected
    assert {total for auditor in auditors for total in auditor.totals} == {TOTAL}
    assert sum(expected.values()) == TOTAL
    # The trial was a real one: answers were lost.
    assert sum(teller.repeated for teller in tellers) >= KILLS
