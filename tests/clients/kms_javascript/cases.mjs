// What an application in JavaScript asks of KMS, with Amazon's SDK. Each case has a key of its own.

import assert from "node:assert/strict";
import { createCipheriv, createDecipheriv, randomUUID } from "node:crypto";

import {
  DisabledException,
  IncorrectKeyException,
  InvalidCiphertextException,
  KMS,
  KMSInvalidStateException,
  KMSServiceException,
  NotFoundException,
  paginateListAliases,
} from "@aws-sdk/client-kms";

const client = new KMS({ maxAttempts: 1 });
const bytes = (text) => new TextEncoder().encode(text);
const text = (found) => new TextDecoder().decode(found);
const EncryptionContext = { table: "music", år: "žluť" };

async function newKey() {
  return (await client.createKey({ Description: "javascript" })).KeyMetadata.KeyId;
}

const CASES = {
  async keys() {
    const KeyId = await newKey();
    const AliasName = `alias/javascript/${randomUUID()}`;
    await client.createAlias({ AliasName, TargetKeyId: KeyId });
    const { KeyMetadata } = await client.describeKey({ KeyId: AliasName });
    assert.equal(KeyMetadata.KeyId, KeyId);
    assert.equal(KeyMetadata.KeyState, "Enabled");
    assert.ok(KeyMetadata.CreationDate instanceof Date);
    const names = [];
    for await (const page of paginateListAliases({ client, pageSize: 10 }, { KeyId })) {
      names.push(...page.Aliases.map((alias) => alias.AliasName));
    }
    assert.deepEqual(names, [AliasName]);
    await client.tagResource({ KeyId, Tags: [{ TagKey: "team", TagValue: "blue" }] });
    assert.deepEqual((await client.listResourceTags({ KeyId })).Tags, [{ TagKey: "team", TagValue: "blue" }]);
    await client.deleteAlias({ AliasName });
    const { DeletionDate } = await client.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    assert.ok(DeletionDate > new Date());
  },

  async ciphers() {
    const [KeyId, other] = [await newKey(), await newKey()];
    const made = await client.encrypt({ KeyId, Plaintext: bytes("secret"), EncryptionContext });
    const { CiphertextBlob } = made;
    const found = await client.decrypt({ CiphertextBlob, EncryptionContext });
    assert.equal(text(found.Plaintext), "secret");
    assert.equal(found.KeyId, made.KeyId);
    await client.rotateKeyOnDemand({ KeyId });
    const moved = await client.reEncrypt({
      CiphertextBlob,
      SourceEncryptionContext: EncryptionContext,
      DestinationKeyId: other,
    });
    assert.equal(text((await client.decrypt({ CiphertextBlob: moved.CiphertextBlob })).Plaintext), "secret");
    assert.equal((await client.generateRandom({ NumberOfBytes: 16 })).Plaintext.length, 16);
  },

  async envelopes() {
    const KeyId = await newKey();
    const { Plaintext, CiphertextBlob } = await client.generateDataKey({ KeyId, KeySpec: "AES_256", EncryptionContext });
    const nonce = new Uint8Array(12);
    const cipher = createCipheriv("aes-256-gcm", Plaintext, nonce);
    const encrypted = Buffer.concat([cipher.update("attack at dawn"), cipher.final()]);
    const opened = await client.decrypt({ CiphertextBlob, EncryptionContext });
    const decipher = createDecipheriv("aes-256-gcm", opened.Plaintext, nonce);
    decipher.setAuthTag(cipher.getAuthTag());
    assert.equal(decipher.update(encrypted, undefined, "utf8") + decipher.final("utf8"), "attack at dawn");
  },

  async refusals() {
    const [KeyId, other] = [await newKey(), await newKey()];
    const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext: bytes("x"), EncryptionContext });
    await assert.rejects(client.decrypt({ CiphertextBlob }), InvalidCiphertextException);
    await assert.rejects(client.decrypt({ CiphertextBlob, EncryptionContext, KeyId: other }), IncorrectKeyException);
    await assert.rejects(client.describeKey({ KeyId: "alias/nothing" }), NotFoundException);
    await client.disableKey({ KeyId });
    await assert.rejects(client.decrypt({ CiphertextBlob, EncryptionContext }), DisabledException);
    await client.scheduleKeyDeletion({ KeyId });
    await assert.rejects(client.decrypt({ CiphertextBlob, EncryptionContext }), KMSInvalidStateException);
    await client.cancelKeyDeletion({ KeyId });
    await client.enableKey({ KeyId });
    await client.decrypt({ CiphertextBlob, EncryptionContext });
    await assert.rejects(client.createKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }), (error) => {
      assert.ok(error instanceof KMSServiceException);
      assert.equal(error.name, "UnsupportedOperationException");
      return true;
    });
  },
};

for (const name of process.argv.slice(2)) {
  let failure = null;
  try {
    await CASES[name]();
  } catch (error) {
    failure = error.stack;
  }
  console.log(JSON.stringify({ case: name, failure }));
}
