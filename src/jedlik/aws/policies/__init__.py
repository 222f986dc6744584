"""The policy language: documents, how they are parsed, and what they decide. Pure: no await, no I/O, no clock."""
