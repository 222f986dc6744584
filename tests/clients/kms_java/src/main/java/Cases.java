// What an application in Java asks of KMS, with Amazon's SDK. Each case has a key of its own.

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.*;

public final class Cases {
    private static final KmsClient CLIENT = KmsClient.builder()
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry())).build();
    private static final Map<String, String> CONTEXT = Map.of("table", "music", "år", "žluť");
    private static final Map<String, Case> CASES = Map.of(
            "keys", Cases::keys, "ciphers", Cases::ciphers, "envelopes", Cases::envelopes, "refusals", Cases::refusals);

    private interface Case {
        void run() throws Exception;
    }

    private static String newKey() {
        return CLIENT.createKey(r -> r.description("java")).keyMetadata().keyId();
    }

    private static SdkBytes bytes(String text) {
        return SdkBytes.fromUtf8String(text);
    }

    private static void keys() {
        String key = newKey();
        String alias = "alias/java/" + UUID.randomUUID();
        CLIENT.createAlias(r -> r.aliasName(alias).targetKeyId(key));
        KeyMetadata found = CLIENT.describeKey(r -> r.keyId(alias)).keyMetadata();
        equal(found.keyId(), key);
        equal(found.keyState(), KeyState.ENABLED);
        List<String> names = CLIENT.listAliasesPaginator(r -> r.keyId(key)).aliases().stream()
                .map(AliasListEntry::aliasName).toList();
        equal(names, List.of(alias));
        Tag tag = Tag.builder().tagKey("team").tagValue("blue").build();
        CLIENT.tagResource(r -> r.keyId(key).tags(tag));
        equal(CLIENT.listResourceTags(r -> r.keyId(key)).tags(), List.of(tag));
        CLIENT.deleteAlias(r -> r.aliasName(alias));
        Instant date = CLIENT.scheduleKeyDeletion(r -> r.keyId(key).pendingWindowInDays(7)).deletionDate();
        equal(date.isAfter(Instant.now()), true);
    }

    private static void ciphers() {
        String key = newKey();
        String other = newKey();
        SdkBytes blob = CLIENT.encrypt(r -> r.keyId(key).plaintext(bytes("secret")).encryptionContext(CONTEXT))
                .ciphertextBlob();
        DecryptResponse found = CLIENT.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(CONTEXT));
        equal(found.plaintext().asUtf8String(), "secret");
        equal(found.keyId().endsWith(key), true);
        CLIENT.rotateKeyOnDemand(r -> r.keyId(key));
        SdkBytes moved = CLIENT.reEncrypt(r -> r.ciphertextBlob(blob).sourceEncryptionContext(CONTEXT)
                .destinationKeyId(other)).ciphertextBlob();
        equal(CLIENT.decrypt(r -> r.ciphertextBlob(moved)).plaintext().asUtf8String(), "secret");
        equal(CLIENT.generateRandom(r -> r.numberOfBytes(16)).plaintext().asByteArray().length, 16);
    }

    private static void envelopes() throws Exception {
        String key = newKey();
        GenerateDataKeyResponse made = CLIENT.generateDataKey(
                r -> r.keyId(key).keySpec(DataKeySpec.AES_256).encryptionContext(CONTEXT));
        byte[] encrypted = gcm(Cipher.ENCRYPT_MODE, made.plaintext())
                .doFinal("attack at dawn".getBytes(StandardCharsets.UTF_8));
        DecryptResponse opened = CLIENT.decrypt(
                r -> r.ciphertextBlob(made.ciphertextBlob()).encryptionContext(CONTEXT));
        byte[] found = gcm(Cipher.DECRYPT_MODE, opened.plaintext()).doFinal(encrypted);
        equal(new String(found, StandardCharsets.UTF_8), "attack at dawn");
    }

    private static Cipher gcm(int mode, SdkBytes key) throws Exception {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(mode, new SecretKeySpec(key.asByteArray(), "AES"), new GCMParameterSpec(128, new byte[12]));
        return cipher;
    }

    private static void refusals() {
        String key = newKey();
        String other = newKey();
        SdkBytes blob = CLIENT.encrypt(r -> r.keyId(key).plaintext(bytes("x")).encryptionContext(CONTEXT))
                .ciphertextBlob();
        failure(InvalidCiphertextException.class, () -> CLIENT.decrypt(r -> r.ciphertextBlob(blob)));
        failure(IncorrectKeyException.class,
                () -> CLIENT.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(CONTEXT).keyId(other)));
        failure(NotFoundException.class, () -> CLIENT.describeKey(r -> r.keyId("alias/nothing")));
        CLIENT.disableKey(r -> r.keyId(key));
        failure(DisabledException.class,
                () -> CLIENT.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(CONTEXT)));
        CLIENT.scheduleKeyDeletion(r -> r.keyId(key));
        failure(KmsInvalidStateException.class,
                () -> CLIENT.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(CONTEXT)));
        CLIENT.cancelKeyDeletion(r -> r.keyId(key));
        CLIENT.enableKey(r -> r.keyId(key));
        CLIENT.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(CONTEXT));
        failure(software.amazon.awssdk.services.kms.model.UnsupportedOperationException.class,
                () -> CLIENT.createKey(r -> r.keySpec(KeySpec.RSA_2048).keyUsage(KeyUsageType.SIGN_VERIFY)));
    }

    private static <E extends RuntimeException> void failure(Class<E> type, Runnable call) {
        try {
            call.run();
        } catch (RuntimeException error) {
            if (type.isInstance(error)) {
                return;
            }
            throw error;
        }
        throw new AssertionError("not refused with " + type);
    }

    private static void equal(Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(found + " is not " + expected);
        }
    }

    private static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            found.append(one < ' ' || one == '"' || one == '\\' || one > '~' ? String.format("\\u%04x", (int) one) : one);
        }
        return found.append('"').toString();
    }

    public static void main(String[] names) {
        for (String name : names) {
            String failure = "null";
            try {
                CASES.get(name).run();
            } catch (Exception | AssertionError error) {
                StringWriter trace = new StringWriter();
                error.printStackTrace(new PrintWriter(trace));
                failure = quoted(trace.toString());
            }
            System.out.printf("{\"case\": %s, \"failure\": %s}%n", quoted(name), failure);
        }
    }
}
