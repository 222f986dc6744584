"""AWS Identity and Access Management: users, groups, roles, their access keys and policies, and who may do what.

The policy language is in `aws.policies`, for other services have policies, too.
"""
