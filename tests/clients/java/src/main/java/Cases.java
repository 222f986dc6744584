// What an application in Java asks of DynamoDB, with Amazon's SDK. Each case has a table of its own.

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.*;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;
import software.amazon.awssdk.services.resourcegroupstaggingapi.ResourceGroupsTaggingApiClient;
import software.amazon.awssdk.services.resourcegroupstaggingapi.model.FailureInfo;
import software.amazon.awssdk.services.resourcegroupstaggingapi.model.InvalidParameterException;
import software.amazon.awssdk.services.resourcegroupstaggingapi.model.ResourceTagMapping;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.model.GetCallerIdentityResponse;
import software.amazon.awssdk.services.sts.model.StsException;

final class Cases {
    private static final DynamoDbClient CLIENT = DynamoDbClient.builder()
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry())).build();
    private static final DynamoDbStreamsClient STREAMS = DynamoDbStreamsClient.builder()
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry())).build();
    private static final StsClient IDENTITIES = StsClient.builder()
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry())).build();
    private static final ResourceGroupsTaggingApiClient TAGGING = ResourceGroupsTaggingApiClient.builder()
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry())).build();

    private static final Map<String, Runnable> CASES = Map.ofEntries(
            Map.entry("tables", Cases::tables),
            Map.entry("items", Cases::items),
            Map.entry("conditions", Cases::conditions),
            Map.entry("updates", Cases::updates),
            Map.entry("queries", Cases::queries),
            Map.entry("scans", Cases::scans),
            Map.entry("batches", Cases::batches),
            Map.entry("transactions", Cases::transactions),
            Map.entry("partiql", Cases::partiql),
            Map.entry("streams", Cases::streams),
            Map.entry("ttl", Cases::ttl),
            Map.entry("identity", Cases::identity),
            Map.entry("tags", Cases::tags),
            Map.entry("wrong_secret", Cases::wrongSecret));

    private static void tables() {
        withTable(table -> {
            TableDescription found = CLIENT.describeTable(r -> r.tableName(table)).table();
            equal(found.tableStatus(), TableStatus.ACTIVE);
            equal(Duration.between(found.creationDateTime(), Instant.now()).abs().toHours(), 0L);
            equal(CLIENT.listTables().tableNames().contains(table), true);
        });
        failure(ResourceNotFoundException.class, () -> CLIENT.describeTable(r -> r.tableName("no-such-table")));
    }

    private static void items() {
        Map<String, AttributeValue> every = new HashMap<>(key("every type", 1));
        every.put("text", text("Gödel, Escher, Bach 🎼"));
        every.put("number", AttributeValue.fromN("12345678901234567890123456789012345678"));
        every.put("bytes", AttributeValue.fromB(bytes(0, 127, 255)));
        every.put("texts", AttributeValue.fromSs(List.of("a", "b")));
        every.put("numbers", AttributeValue.fromNs(List.of("-1.5", "2")));
        every.put("binaries", AttributeValue.fromBs(List.of(bytes(1), bytes(2, 3))));
        every.put("map", AttributeValue.fromM(Map.of("inner", AttributeValue.fromL(List.of(text("deep"), number(1))))));
        every.put("list", AttributeValue.fromL(List.of(number(1), AttributeValue.fromNul(true))));
        every.put("yes", AttributeValue.fromBool(true));
        every.put("nothing", AttributeValue.fromNul(true));
        withTable(table -> {
            put(table, every);
            equal(get(table, key("every type", 1)), every);
            equal(CLIENT.getItem(r -> r.tableName(table).key(key("every type", 2))).hasItem(), false);
            CLIENT.deleteItem(r -> r.tableName(table).key(key("every type", 1)));
            equal(CLIENT.getItem(r -> r.tableName(table).key(key("every type", 1))).hasItem(), false);
        });
    }

    private static void conditions() {
        withTable(table -> {
            Map<String, AttributeValue> first = Map.of("p", text("a"), "s", number(1), "v", text("first"));
            put(table, first);
            ConditionalCheckFailedException found = failure(ConditionalCheckFailedException.class,
                    () -> CLIENT.putItem(r -> r.tableName(table).item(key("a", 1))
                            .conditionExpression("attribute_not_exists(p)")
                            .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)));
            equal(found.awsErrorDetails().errorMessage(), "The conditional request failed");
            equal(found.item(), first);
        });
    }

    private static void updates() {
        withTable(table -> {
            UpdateItemResponse answer = CLIENT.updateItem(r -> r.tableName(table).key(key("a", 1))
                    .updateExpression("SET #v = :v ADD hits :one")
                    .expressionAttributeNames(Map.of("#v", "value"))
                    .expressionAttributeValues(Map.of(":v", text("new"), ":one", number(1)))
                    .returnValues(ReturnValue.ALL_NEW));
            equal(answer.attributes(),
                    Map.of("p", text("a"), "s", number(1), "value", text("new"), "hits", number(1)));
        });
    }

    private static void queries() {
        withTable(table -> {
            IntStream.range(0, 7).forEach(n -> put(table, key("a", n)));
            List<QueryResponse> pages = CLIENT.queryPaginator(r -> r.tableName(table).limit(3)
                    .keyConditionExpression("p = :p").expressionAttributeValues(Map.of(":p", text("a")))
                    .scanIndexForward(false)).stream().toList();
            equal(pages.size(), 3);
            equal(pages.stream().flatMap(page -> page.items().stream()).toList(),
                    IntStream.range(0, 7).mapToObj(n -> key("a", 6 - n)).toList());
        });
    }

    private static void scans() {
        withTable(table -> {
            IntStream.range(0, 5).forEach(n -> put(table, key("p" + n, n)));
            equal(CLIENT.scanPaginator(r -> r.tableName(table).limit(2).filterExpression("s >= :two")
                    .expressionAttributeValues(Map.of(":two", number(2)))).items().stream().count(), 3L);
        });
    }

    private static void batches() {
        withTable(table -> {
            List<Map<String, AttributeValue>> keys = IntStream.range(0, 25).mapToObj(n -> key("a", n)).toList();
            List<WriteRequest> writes = keys.stream()
                    .map(item -> WriteRequest.builder().putRequest(p -> p.item(item)).build()).toList();
            equal(CLIENT.batchWriteItem(r -> r.requestItems(Map.of(table, writes))).unprocessedItems(), Map.of());
            BatchGetItemResponse got = CLIENT.batchGetItem(
                    r -> r.requestItems(Map.of(table, KeysAndAttributes.builder().keys(keys).build())));
            equal(got.responses().get(table).size(), 25);
            equal(got.unprocessedKeys(), Map.of());
        });
    }

    private static void transactions() {
        withTable(table -> {
            put(table, key("there", 1));
            Put add = Put.builder().tableName(table).item(key("new", 1))
                    .conditionExpression("attribute_not_exists(p)").build();
            Put again = add.copy(p -> p.item(key("there", 1)));
            TransactionCanceledException found = failure(TransactionCanceledException.class,
                    () -> CLIENT.transactWriteItems(r -> r.transactItems(i -> i.put(add), i -> i.put(again))));
            equal(found.cancellationReasons().stream().map(CancellationReason::code).toList(),
                    List.of("None", "ConditionalCheckFailed"));
            CLIENT.transactWriteItems(r -> r.transactItems(
                    i -> i.put(add), i -> i.delete(d -> d.tableName(table).key(key("there", 1)))));
            List<ItemResponse> got = CLIENT.transactGetItems(r -> r.transactItems(
                    i -> i.get(g -> g.tableName(table).key(key("new", 1))),
                    i -> i.get(g -> g.tableName(table).key(key("there", 1))))).responses();
            equal(got.get(0).item(), key("new", 1));
            equal(got.get(1).hasItem(), false);
        });
    }

    private static void partiql() {
        withTable(table -> {
            CLIENT.executeStatement(r -> r.parameters(text("a"))
                    .statement("INSERT INTO \"" + table + "\" VALUE {'p': ?, 's': 1, 'v': 'x'}"));
            equal(CLIENT.executeStatement(r -> r.parameters(text("a"))
                    .statement("SELECT v FROM \"" + table + "\" WHERE p = ?")).items(),
                    List.of(Map.of("v", text("x"))));
        });
    }

    private static void streams() {
        withTable(table -> {
            put(table, key("a", 1));
            String arn = CLIENT.describeTable(r -> r.tableName(table)).table().latestStreamArn();
            List<software.amazon.awssdk.services.dynamodb.model.Record> records = new ArrayList<>();
            for (Shard shard : STREAMS.describeStream(r -> r.streamArn(arn)).streamDescription().shards()) {
                String iterator = STREAMS.getShardIterator(r -> r.streamArn(arn).shardId(shard.shardId())
                        .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).shardIterator();
                records.addAll(STREAMS.getRecords(r -> r.shardIterator(iterator)).records());
            }
            equal(records.size(), 1);
            equal(records.get(0).eventName(), OperationType.INSERT);
            equal(records.get(0).dynamodb().newImage(), key("a", 1));
        });
    }

    private static void ttl() {
        withTable(table -> {
            CLIENT.updateTimeToLive(r -> r.tableName(table)
                    .timeToLiveSpecification(t -> t.attributeName("expires").enabled(true)));
            equal(CLIENT.describeTimeToLive(r -> r.tableName(table)).timeToLiveDescription().attributeName(),
                    "expires");
        });
    }

    /** Runs with a secret that is not the server's. */
    private static void identity() {
        GetCallerIdentityResponse found = IDENTITIES.getCallerIdentity();
        equal(found.account(), "000000000000");
        equal(found.arn(), "arn:aws:iam::000000000000:root");
        equal(found.userId(), "000000000000");
        String key = System.getenv("AWS_ACCESS_KEY_ID");
        if (key.length() >= 16) {
            equal(IDENTITIES.getAccessKeyInfo(r -> r.accessKeyId(key)).account(), "000000000000");
        }
        StsException error = failure(StsException.class, () -> IDENTITIES.getAccessKeyInfo(r -> r.accessKeyId("short")));
        equal(error.awsErrorDetails().errorCode(), "ValidationError");
    }

    private static void tags() {
        withTable(table -> {
            String arn = CLIENT.describeTable(r -> r.tableName(table)).table().tableArn();
            Map<String, FailureInfo> failed = TAGGING.tagResources(
                    r -> r.resourceARNList(arn, arn + "-nowhere").tags(Map.of(table, "a"))).failedResourcesMap();
            equal(List.copyOf(failed.keySet()), List.of(arn + "-nowhere"));
            equal(failed.get(arn + "-nowhere").errorCodeAsString(), "ResourceNotFoundException");
            List<ResourceTagMapping> found = TAGGING.getResourcesPaginator(
                    r -> r.tagFilters(f -> f.key(table).values("a", "b")).resourcesPerPage(1))
                    .resourceTagMappingList().stream().toList();
            equal(found.size(), 1);
            equal(found.get(0).resourceARN(), arn);
            equal(found.get(0).tags().get(0).value(), "a");
            equal(TAGGING.getTagKeys(r -> r.build()).tagKeys().contains(table), true);
            equal(TAGGING.getTagValues(r -> r.key(table)).tagValues(), List.of("a"));
            TAGGING.untagResources(r -> r.resourceARNList(arn).tagKeys(table));
            equal(TAGGING.getTagValues(r -> r.key(table)).tagValues(), List.of());
        });
        failure(InvalidParameterException.class, () -> TAGGING.getResources(r -> r.resourcesPerPage(101)));
    }

    private static void wrongSecret() {
        DynamoDbException found = failure(DynamoDbException.class, CLIENT::listTables);
        equal(found.awsErrorDetails().errorCode(), "InvalidSignatureException");
        equal(found.statusCode(), 400);
    }

    /** Creates a table with a partition key p and a sort key s, and deletes it after use. */
    private static void withTable(Consumer<String> use) {
        String table = "java-" + UUID.randomUUID();
        CLIENT.createTable(r -> r.tableName(table).billingMode(BillingMode.PAY_PER_REQUEST)
                .attributeDefinitions(
                        a -> a.attributeName("p").attributeType(ScalarAttributeType.S),
                        a -> a.attributeName("s").attributeType(ScalarAttributeType.N))
                .keySchema(
                        k -> k.attributeName("p").keyType(KeyType.HASH),
                        k -> k.attributeName("s").keyType(KeyType.RANGE))
                .streamSpecification(
                        s -> s.streamEnabled(true).streamViewType(StreamViewType.NEW_AND_OLD_IMAGES)));
        CLIENT.waiter().waitUntilTableExists(r -> r.tableName(table));
        use.accept(table);
        CLIENT.deleteTable(r -> r.tableName(table));
        CLIENT.waiter().waitUntilTableNotExists(r -> r.tableName(table));
    }

    private static void put(String table, Map<String, AttributeValue> item) {
        CLIENT.putItem(r -> r.tableName(table).item(item));
    }

    private static Map<String, AttributeValue> get(String table, Map<String, AttributeValue> key) {
        return CLIENT.getItem(r -> r.tableName(table).key(key).consistentRead(true)).item();
    }

    private static Map<String, AttributeValue> key(String p, int s) {
        return Map.of("p", text(p), "s", number(s));
    }

    private static AttributeValue text(String value) {
        return AttributeValue.fromS(value);
    }

    private static AttributeValue number(int value) {
        return AttributeValue.fromN(Integer.toString(value));
    }

    private static SdkBytes bytes(int... values) {
        byte[] found = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            found[i] = (byte) values[i];
        }
        return SdkBytes.fromByteArray(found);
    }

    private static void equal(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError(found + " instead of " + expected);
        }
    }

    /** The error of a call, which must be an E. */
    private static <E extends SdkException> E failure(Class<E> expected, Runnable call) {
        try {
            call.run();
        } catch (SdkException error) {
            if (expected.isInstance(error)) {
                return expected.cast(error);
            }
            throw error;
        }
        throw new AssertionError("no " + expected.getSimpleName());
    }

    private static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        text.chars().forEach(c -> found.append(c < ' ' || c == '"' || c == '\\' || c > '~'
                ? String.format("\\u%04x", c) : String.valueOf((char) c)));
        return found.append('"').toString();
    }

    public static void main(String[] names) {
        for (String name : names) {
            String failure = "null";
            try {
                CASES.get(name).run();
            } catch (RuntimeException | AssertionError error) {
                StringWriter trace = new StringWriter();
                error.printStackTrace(new PrintWriter(trace));
                failure = quoted(trace.toString());
            }
            System.out.printf("{\"case\": %s, \"failure\": %s}%n", quoted(name), failure);
        }
    }
}
