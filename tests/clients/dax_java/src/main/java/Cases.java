// Does the named cases with the DAX client. Each asks the table itself the same over HTTP, and compares the answers.
// Prints a JSON line for each case.

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.*;
import software.amazon.dax.ClusterDaxAsyncClient;
import software.amazon.dax.Configuration;

public final class Cases {
    interface Case {
        void run() throws Exception;
    }

    // Asks a client about one of the twins, whose names end with the given text.
    interface Ask extends BiFunction<DynamoDbAsyncClient, String, CompletableFuture<?>> {}

    static final String SONGS = "java-songs";
    static final String WORDS = "java-words";
    static final String TWIN = "-twin";

    static DynamoDbAsyncClient dynamodb;
    static DynamoDbAsyncClient dax;

    public static void main(String[] names) throws Exception {
        Region region = Region.of(System.getenv("AWS_REGION"));
        var credentials = EnvironmentVariableCredentialsProvider.create();
        dynamodb = DynamoDbAsyncClient.builder().region(region).credentialsProvider(credentials).build();
        dax = ClusterDaxAsyncClient.builder()
            .overrideConfiguration(Configuration.builder()
                .url(System.getenv("DAX_ENDPOINT")).region(region).credentialsProvider(credentials)
                .connectTimeoutMillis(30_000).build())
            .build();
        createTables();
        Map<String, Case> cases = Map.of(
            "items", Cases::items, "updates", Cases::updates, "conditions", Cases::conditions,
            "queries", Cases::queries, "scans", Cases::scans, "batches", Cases::batches,
            "transactions", Cases::transactions, "errors", Cases::errors);
        for (String name : names) {
            String failure = null;
            try {
                cases.get(name).run();
            } catch (Throwable error) {
                failure = error + " " + List.of(error.getStackTrace()).stream().limit(8).toList();
            }
            System.out.println("{\"case\": \"" + name + "\", \"failure\": " + quoted(failure) + "}");
        }
        System.exit(0);
    }

    static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder written = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            written.append(one < ' ' || one == '"' || one == '\\' ? String.format("\\u%04x", (int) one) : one);
        }
        return written.append('"').toString();
    }

    static void createTables() {
        for (String suffix : List.of("", TWIN)) {
            dynamodb.createTable(CreateTableRequest.builder().tableName(SONGS + suffix)
                .billingMode(BillingMode.PAY_PER_REQUEST)
                .keySchema(key("p", KeyType.HASH), key("n", KeyType.RANGE))
                .attributeDefinitions(typed("p", "S"), typed("n", "N"), typed("g", "S"))
                .globalSecondaryIndexes(GlobalSecondaryIndex.builder().indexName("by-g")
                    .keySchema(key("g", KeyType.HASH), key("n", KeyType.RANGE))
                    .projection(Projection.builder().projectionType(ProjectionType.ALL).build()).build())
                .build()).join();
            dynamodb.createTable(CreateTableRequest.builder().tableName(WORDS + suffix)
                .billingMode(BillingMode.PAY_PER_REQUEST)
                .keySchema(key("p", KeyType.HASH)).attributeDefinitions(typed("p", "S")).build()).join();
        }
    }

    static KeySchemaElement key(String name, KeyType type) {
        return KeySchemaElement.builder().attributeName(name).keyType(type).build();
    }

    static AttributeDefinition typed(String name, String type) {
        return AttributeDefinition.builder().attributeName(name).attributeType(type).build();
    }

    static AttributeValue s(String text) {
        return AttributeValue.fromS(text);
    }

    static AttributeValue n(String number) {
        return AttributeValue.fromN(number);
    }

    // The answer, or the name of the refusal.
    static Object outcome(DynamoDbAsyncClient client, String suffix, Ask ask) {
        try {
            return ask.apply(client, suffix).join();
        } catch (CompletionException error) {
            Throwable cause = error.getCause();
            String reasons = cause instanceof TransactionCanceledException cancelled
                ? " " + cancelled.cancellationReasons().stream().map(Cases::shown).toList() : "";
            return cause.getClass().getSimpleName() + reasons;
        }
    }

    static String shown(CancellationReason reason) {
        return reason.code() + " " + reason.message() + " " + (reason.hasItem() ? reason.item() : "");
    }

    static Object same(Ask ask) {
        Object ours = outcome(dax, "", ask);
        Object theirs = outcome(dynamodb, TWIN, ask);
        String one = String.valueOf(ours).replace(TWIN, "");
        String two = String.valueOf(theirs).replace(TWIN, "");
        if (!sorted(one).equals(sorted(two))) {
            throw new AssertionError("DAX: " + one + ", the table: " + two);
        }
        return ours;
    }

    // Members of maps and sets come in any order, and the clients differ in which empty lists they make.
    static List<String> sorted(String text) {
        List<String> empty = List.of("Items=", "UnprocessedKeys=");
        return List.of(text.split("[ ,(){}\\[\\]]+")).stream().filter(one -> !empty.contains(one)).sorted().toList();
    }

    static Map<String, AttributeValue> item(Map<String, AttributeValue> key) {
        Map<String, AttributeValue> item = new HashMap<>(key);
        item.put("text", s("žluťoučký"));
        item.put("whole", n("-7"));
        item.put("part", n("-1.5"));
        item.put("long", n("12345678901234567890123456789012345678"));
        item.put("bytes", AttributeValue.fromB(SdkBytes.fromByteArray(new byte[] {0, (byte) 255})));
        item.put("yes", AttributeValue.fromBool(true));
        item.put("none", AttributeValue.fromNul(true));
        item.put("list", AttributeValue.fromL(List.of(n("1"), AttributeValue.fromM(Map.of("a", s("q"))))));
        item.put("map", AttributeValue.fromM(Map.of("x", AttributeValue.fromL(List.of(s("0"), s("1"))))));
        item.put("texts", AttributeValue.fromSs(List.of("a", "b")));
        item.put("numbers", AttributeValue.fromNs(List.of("1", "2.5")));
        return item;
    }

    static void items() {
        Map<String, AttributeValue> key = Map.of("p", s("ключ"));
        same((client, suffix) -> client.putItem(r -> r.tableName(WORDS + suffix).item(item(key))));
        Object filled = same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key)));
        Object again = same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key)));
        if (((GetItemResponse) filled).item().size() != 12 || !filled.equals(again)) {
            throw new AssertionError(filled);
        }
        same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key).consistentRead(true)));
        same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key)
            .projectionExpression("#l[1].a, #m.x[1], whole, nope")
            .expressionAttributeNames(Map.of("#l", "list", "#m", "map"))));
        Map<String, AttributeValue> song = Map.of("p", s("a"), "n", n("-0.25"));
        same((client, suffix) -> client.putItem(r -> r.tableName(SONGS + suffix).item(song)));
        same((client, suffix) -> client.getItem(r -> r.tableName(SONGS + suffix).key(song)));
        same((client, suffix) -> client.deleteItem(r -> r.tableName(WORDS + suffix).key(key)
            .returnValues(ReturnValue.ALL_OLD)));
        same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key)));
    }

    static void updates() {
        Map<String, AttributeValue> key = Map.of("p", s("updated"));
        for (ReturnValue returned : List.of(ReturnValue.NONE, ReturnValue.ALL_OLD, ReturnValue.UPDATED_OLD,
                ReturnValue.ALL_NEW, ReturnValue.UPDATED_NEW)) {
            same((client, suffix) -> client.putItem(r -> r.tableName(WORDS + suffix).item(item(key))));
            same((client, suffix) -> client.updateItem(r -> r.tableName(WORDS + suffix).key(key)
                .updateExpression("SET whole = whole + :n, #new = if_not_exists(#new, :s) REMOVE #m.x[0]")
                .conditionExpression("attribute_exists(p) AND (whole < :n OR size(texts) = :n)")
                .expressionAttributeNames(Map.of("#new", "new", "#m", "map"))
                .expressionAttributeValues(Map.of(":n", n("1"), ":s", s("x"))).returnValues(returned)));
            same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(key)));
        }
    }

    static void conditions() {
        Map<String, AttributeValue> item = Map.of("p", s("conditional"), "v", n("1.50"));
        same((client, suffix) -> client.putItem(r -> r.tableName(WORDS + suffix).item(item)));
        Object refused = same((client, suffix) -> client.putItem(r -> r.tableName(WORDS + suffix).item(item)
            .conditionExpression("attribute_not_exists(p) OR v IN (:a, :b)")
            .expressionAttributeValues(Map.of(":a", n("2"), ":b", n("3")))));
        expect("ConditionalCheckFailedException", refused);
        same((client, suffix) -> client.deleteItem(r -> r.tableName(WORDS + suffix).key(Map.of("p", item.get("p")))
            .conditionExpression("NOT v BETWEEN :a AND :b")
            .expressionAttributeValues(Map.of(":a", n("2"), ":b", n("3")))));
    }

    static void fill() {
        List<WriteRequest> writes = new ArrayList<>();
        for (int number = 0; number < 8; number++) {
            Map<String, AttributeValue> item = Map.of("p", s("q"), "n", n(String.valueOf(number / 2.0)),
                "g", s("g" + number % 2), "v", n(String.valueOf(number)));
            writes.add(WriteRequest.builder().putRequest(p -> p.item(item)).build());
        }
        same((client, suffix) -> client.batchWriteItem(r -> r.requestItems(Map.of(SONGS + suffix, writes))));
    }

    static void queries() {
        fill();
        Map<String, AttributeValue> values = Map.of(":p", s("q"));
        same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix)
            .keyConditionExpression("p = :p").expressionAttributeValues(values)));
        same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix).select(Select.COUNT)
            .keyConditionExpression("p = :p").expressionAttributeValues(values)));
        same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix).projectionExpression("v, n")
            .keyConditionExpression("p = :p").expressionAttributeValues(values)));
        QueryResponse page = (QueryResponse) same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix)
            .limit(2).scanIndexForward(false).keyConditionExpression("p = :p").expressionAttributeValues(values)));
        same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix).limit(2).scanIndexForward(false)
            .exclusiveStartKey(page.lastEvaluatedKey())
            .keyConditionExpression("p = :p").expressionAttributeValues(values)));
        Map<String, AttributeValue> ofG = Map.of(":g", s("g1"), ":a", n("0.25"), ":b", n("9"));
        QueryResponse first = (QueryResponse) same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix)
            .indexName("by-g").limit(2)
            .keyConditionExpression("g = :g AND n BETWEEN :a AND :b").expressionAttributeValues(ofG)));
        same((client, suffix) -> client.query(r -> r.tableName(SONGS + suffix).indexName("by-g").limit(2)
            .exclusiveStartKey(first.lastEvaluatedKey())
            .keyConditionExpression("g = :g AND n BETWEEN :a AND :b").expressionAttributeValues(ofG)));
    }

    static void scans() {
        fill();
        same((client, suffix) -> client.scan(r -> r.tableName(SONGS + suffix).projectionExpression("v")
            .totalSegments(2).segment(1)));
        same((client, suffix) -> client.scan(r -> r.tableName(SONGS + suffix).filterExpression("v > :v")
            .expressionAttributeValues(Map.of(":v", n("4")))));
        ScanResponse page = (ScanResponse) same((client, suffix) -> client.scan(r -> r.tableName(SONGS + suffix)
            .indexName("by-g").limit(1)));
        same((client, suffix) -> client.scan(r -> r.tableName(SONGS + suffix).indexName("by-g").limit(1)
            .exclusiveStartKey(page.lastEvaluatedKey())));
    }

    static void batches() {
        fill();
        List<Map<String, AttributeValue>> keys = List.of(Map.of("p", s("q"), "n", n("0.5")),
            Map.of("p", s("q"), "n", n("99")), Map.of("p", s("q"), "n", n("2")));
        for (int turn = 0; turn < 2; turn++) {
            same((client, suffix) -> client.batchGetItem(r -> r.requestItems(
                Map.of(SONGS + suffix, KeysAndAttributes.builder().keys(keys).build()))));
            same((client, suffix) -> client.batchGetItem(r -> r.requestItems(
                Map.of(SONGS + suffix, KeysAndAttributes.builder().keys(keys).projectionExpression("v, p").build()))));
        }
        List<WriteRequest> writes = List.of(
            WriteRequest.builder().deleteRequest(d -> d.key(keys.get(0))).build(),
            WriteRequest.builder().putRequest(p -> p.item(keys.get(1))).build());
        same((client, suffix) -> client.batchWriteItem(r -> r.requestItems(Map.of(SONGS + suffix, writes))));
        same((client, suffix) -> client.batchGetItem(r -> r.requestItems(
            Map.of(SONGS + suffix, KeysAndAttributes.builder().keys(keys).build()))));
    }

    static void transactions() {
        Map<String, AttributeValue> one = Map.of("p", s("first"), "v", n("1"));
        Map<String, AttributeValue> two = Map.of("p", s("moved"), "n", n("1"));
        same((client, suffix) -> client.transactWriteItems(r -> r.transactItems(
            TransactWriteItem.builder().put(p -> p.tableName(WORDS + suffix).item(one)).build(),
            TransactWriteItem.builder().update(u -> u.tableName(SONGS + suffix).key(two)
                .updateExpression("SET v = :v").expressionAttributeValues(Map.of(":v", n("1")))).build(),
            TransactWriteItem.builder().conditionCheck(c -> c.tableName(WORDS + suffix).key(Map.of("p", s("no")))
                .conditionExpression("attribute_not_exists(p)")).build())));
        same((client, suffix) -> client.transactGetItems(r -> r.transactItems(
            TransactGetItem.builder().get(g -> g.tableName(WORDS + suffix).key(Map.of("p", s("first")))).build(),
            TransactGetItem.builder().get(g -> g.tableName(SONGS + suffix).key(two)).build(),
            TransactGetItem.builder().get(g -> g.tableName(WORDS + suffix).key(Map.of("p", s("no")))).build())));
        Object cancelled = same((client, suffix) -> client.transactWriteItems(r -> r.transactItems(
            TransactWriteItem.builder().put(p -> p.tableName(WORDS + suffix).item(one)
                .conditionExpression("attribute_not_exists(p)")
                .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)).build(),
            TransactWriteItem.builder().delete(d -> d.tableName(SONGS + suffix).key(two)).build())));
        expect("TransactionCanceledException", cancelled);
    }

    static void errors() {
        expect("ResourceNotFoundException", outcome(dax, "",
            (client, suffix) -> client.getItem(r -> r.tableName("absent").key(Map.of("p", s("x"))))));
        Map<String, AttributeValue> large = Map.of("p", s("large"), "v", s("x".repeat(410_000)));
        outcome(dax, "", (client, suffix) -> client.putItem(r -> r.tableName(WORDS).item(large)));
        same((client, suffix) -> client.getItem(r -> r.tableName(WORDS + suffix).key(Map.of("p", s("large")))));
    }

    static void expect(String name, Object outcome) {
        if (!Objects.toString(outcome).startsWith(name)) {
            throw new AssertionError("expected " + name + ", not " + outcome);
        }
    }
}
