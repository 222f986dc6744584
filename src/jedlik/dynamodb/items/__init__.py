"""The operations on items, and what they leave behind in the background: expiry, and old client tokens.

`single_items`, `queries`, `batches` and `transactions` can do everything. `short_reads`, `short_writes`,
`short_transactions` and `repeated_gets` do the commonest requests in fewer steps (`aws.short_way`), and must agree with
them.
"""
