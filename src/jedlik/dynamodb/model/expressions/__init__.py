"""Expressions: parsed once and cached by their text, bound to a request's placeholders, evaluated on items.

Callers use `placeholders.Placeholders`, `conditions.condition`, `updates.update`, `projections.projection`,
`key_conditions.parse_key_condition`, and `legacy` for the parameters that came before expressions.
"""
