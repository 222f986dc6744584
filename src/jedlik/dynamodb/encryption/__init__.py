"""The keys of tables: which key of KMS seals a table, by SSESpecification, and what happens to the table when
the key cannot be used.
"""
