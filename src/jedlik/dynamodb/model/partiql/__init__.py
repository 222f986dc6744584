"""PartiQL: DynamoDB's SQL.

A text becomes tokens (lexer), a syntax tree (parsers), and a statement (statements). With a request's parameters and a
table, that becomes an operation of the write path (operations) or a plan for the read path (planner). Conditions and
updates go through `model.expressions`, which alone defines what a comparison or a SET means.
"""
