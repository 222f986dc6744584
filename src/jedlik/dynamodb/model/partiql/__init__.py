"""PartiQL: DynamoDB's SQL.

A text becomes tokens (lexer), a syntax tree (parsers), a statement (statements), and that, with a request's parameters
and a table, an operation of the write path (operations) or a plan for the read path (planner). Conditions and updates
are handed to `model.expressions`: what a comparison or a SET means is said there, once.
"""
