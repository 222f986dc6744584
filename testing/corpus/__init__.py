"""The golden corpus: requests with a server's answers, which every later state of the code must give again.

A refactoring must not change an answer. So record a corpus before it, and replay that after each step:

    python -m testing.corpus record corpus.xz    # what the tests of DynamoDB's operations ask, and are answered
    python -m testing.corpus record corpus.xz --listen 8100 -- COMMAND   # what any command asks port 8100
    python -m testing.corpus settle corpus.xz    # from now on compare only what was the same twice
    python -m testing.corpus replay corpus.xz    # exits with 1 if an answer differs

Both sides begin with empty stores that have the same secret, so a Scan's order is the same. Answers are compared byte
for byte after masking the parts that must differ (`masks`): times, uuids, sequence numbers and tokens. If later
requests repeat a part of an answer (a stream's ARN, a shard iterator), they get the one that the replayed server gave.
"""
