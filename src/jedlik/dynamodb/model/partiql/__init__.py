"""PartiQL: DynamoDB's SQL.

A text becomes tokens (partiql_lexer), a syntax tree (parsers), and a statement (statements). With a request's
parameters and a table, that becomes an item write (statement_writes) or a plan for the read path (planner). Conditions
and updates go through `model.expressions`, which alone defines what a comparison or a SET means.
"""
