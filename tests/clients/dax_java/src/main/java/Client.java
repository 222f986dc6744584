// Asks DAX what stands in each line of the input: {"operation": "getItem", "request": {...}}, in DynamoDB's JSON.
// Prints a line for each: {"answer": {...}}, or {"error": {"name": ..., "message": ..., "reasons": [...]}}.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletableFuture;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.protocol.MarshallingType;
import software.amazon.awssdk.core.traits.ListTrait;
import software.amazon.awssdk.core.traits.MapTrait;
import software.amazon.awssdk.core.util.SdkAutoConstructList;
import software.amazon.awssdk.core.util.SdkAutoConstructMap;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.utils.builder.Buildable;
import software.amazon.dax.ClusterDaxAsyncClient;
import software.amazon.dax.Configuration;

public final class Client {
    static final String MODEL = "software.amazon.awssdk.services.dynamodb.model.";

    public static void main(String[] arguments) throws Exception {
        DynamoDbAsyncClient dax = ClusterDaxAsyncClient.builder()
            .overrideConfiguration(Configuration.builder()
                .url(System.getenv("DAX_ENDPOINT")).region(Region.of(System.getenv("AWS_REGION")))
                .credentialsProvider(EnvironmentVariableCredentialsProvider.create())
                .connectTimeoutMillis(30_000).build())
            .build();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            StringBuilder written = new StringBuilder();
            write(outcome(dax, JsonNode.parser().parse(line).asObject()), written);
            output.println(written);
        }
        System.exit(0);
    }

    static Map<String, Object> outcome(DynamoDbAsyncClient dax, Map<String, JsonNode> asked) throws Exception {
        String operation = asked.get("operation").asString();
        String name = Character.toUpperCase(operation.charAt(0)) + operation.substring(1) + "Request";
        Class<?> type = Class.forName(MODEL + name);
        Object request = pojo((SdkPojo) type.getMethod("builder").invoke(null), asked.get("request"));
        try {
            Method method = DynamoDbAsyncClient.class.getMethod(operation, type);
            return Map.of("answer", given(((CompletableFuture<?>) method.invoke(dax, request)).join()));
        } catch (CompletionException error) {
            return refused(error.getCause());
        } catch (java.lang.reflect.InvocationTargetException error) {
            return refused(error.getCause());
        }
    }

    static Map<String, Object> refused(Throwable cause) {
        Map<String, Object> error = new LinkedHashMap<>();
        boolean isNamed = cause instanceof AwsServiceException named && named.awsErrorDetails() != null;
        error.put("name", isNamed ? ((AwsServiceException) cause).awsErrorDetails().errorCode()
            : cause.getClass().getSimpleName());
        error.put("message", String.valueOf(cause.getMessage()));
        error.put("reasons", cause instanceof TransactionCanceledException cancelled
            ? given(cancelled.cancellationReasons()) : null);
        return Map.of("error", error);
    }

    // A request, or a part of one, as the client takes it.
    static Object pojo(SdkPojo builder, JsonNode json) {
        Map<String, JsonNode> members = json.asObject();
        for (SdkField<?> field : builder.sdkFields()) {
            if (members.containsKey(field.locationName())) {
                field.set(builder, taken(field, members.get(field.locationName())));
            }
        }
        return ((Buildable) builder).build();
    }

    static Object taken(SdkField<?> field, JsonNode json) {
        MarshallingType<?> type = field.marshallingType();
        if (type == MarshallingType.SDK_POJO) {
            return pojo(field.constructor().get(), json);
        }
        if (type == MarshallingType.LIST) {
            List<Object> list = new ArrayList<>();
            for (JsonNode one : json.asArray()) {
                list.add(taken(field.getTrait(ListTrait.class).memberFieldInfo(), one));
            }
            return list;
        }
        if (type == MarshallingType.MAP) {
            Map<String, Object> map = new LinkedHashMap<>();
            json.asObject().forEach((name, one) ->
                map.put(name, taken(field.getTrait(MapTrait.class).valueFieldInfo(), one)));
            return map;
        }
        if (type == MarshallingType.SDK_BYTES) {
            return SdkBytes.fromByteArray(Base64.getDecoder().decode(json.asString()));
        }
        if (type == MarshallingType.INTEGER) {
            return Integer.valueOf(json.asNumber());
        }
        return type == MarshallingType.BOOLEAN ? (Object) json.asBoolean() : json.asString();
    }

    // An answer, or a part of one, as JSON has it. Members that were not given are left out.
    static Object given(Object value) {
        if (value instanceof SdkBytes bytes) {
            return Base64.getEncoder().encodeToString(bytes.asByteArray());
        }
        if (value instanceof List<?> list) {
            return list.stream().map(Client::given).toList();
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> members = new LinkedHashMap<>();
            map.forEach((name, one) -> members.put((String) name, given(one)));
            return members;
        }
        if (value instanceof SdkPojo pojo) {
            Map<String, Object> members = new LinkedHashMap<>();
            for (SdkField<?> field : pojo.sdkFields()) {
                Object one = field.getValueOrDefault(pojo);
                if (one != null && !(one instanceof SdkAutoConstructList) && !(one instanceof SdkAutoConstructMap)) {
                    members.put(field.locationName(), given(one));
                }
            }
            return members;
        }
        return value;
    }

    static void write(Object value, StringBuilder into) {
        if (value instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> one : map.entrySet()) {
                into.append(before);
                write(one.getKey(), into);
                into.append(':');
                write(one.getValue(), into);
                before = ",";
            }
            into.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            String before = "[";
            for (Object one : list) {
                into.append(before);
                write(one, into);
                before = ",";
            }
            into.append(list.isEmpty() ? "[]" : "]");
        } else if (value instanceof String text) {
            into.append('"');
            for (char one : text.toCharArray()) {
                into.append(one < ' ' || one == '"' || one == '\\' ? String.format("\\u%04x", (int) one) : one);
            }
            into.append('"');
        } else {
            into.append(value);
        }
    }
}
