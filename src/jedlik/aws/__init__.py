"""What all services share: a request's way from the wire to a handler and back.

`service` is what a service declares, and `front` goes a request's way: `routing`, `sigv4`, a codec of `protocols`, the
check of its shape (`shapes`), the `authorizer`, the handler. `short_way` does the same for the commonest requests.
What one service needs of another is a Protocol here (`table_keys`, `tagged_resources`, `calls`, ...), because services
do not import from each other.
"""
