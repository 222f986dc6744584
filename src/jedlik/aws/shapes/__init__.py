"""The shapes of requests: checks compiled from the service models, and AWS's words for what breaks them.

`shapes` is the compiler. It knows no service: each passes its departures from its model as a value (`service_shapes`).
"""
