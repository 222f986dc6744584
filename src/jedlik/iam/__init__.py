"""AWS Identity and Access Management: users, groups, roles, their access keys and policies, and who may do what.

`policies` is the policy language: pure functions of documents and requests. Everything else is built on it.
"""
