"""Bytes to requests and back, over HTTP/1.1 and TLS, under limits. Knows no AWS.

`http` serves, with a `connection` for each client; `message_reader` makes requests of bytes, or `known_heads` does.
`messages` has what passes between here and the application. `acceptor`, `certificates`, `open_connections` and
`spinning` serve the listeners of DAX as well.
"""
