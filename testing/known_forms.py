"""Requests as they come from a connection that knows the form of its client's heads (`jedlik.wire.known_heads`)."""

from __future__ import annotations

from collections.abc import Collection

from jedlik.wire.messages import HeadForm, Request


def form_of(request: Request, own: Collection[bytes]) -> HeadForm:
    """A form that the request's head has, in which the values of some headers are a request's own."""
    headers = request.headers
    return HeadForm(request.method, request.target, dict(headers), [name for name in headers if name in own])


def in_form(request: Request, form: HeadForm) -> Request:
    """The same request with a form, which its head has."""
    own = [name for name in form.names if form.place(name) is not None]
    values = tuple(request.headers[name] for name in sorted(own, key=lambda name: form.place(name) or 0))
    made = Request(request.method, request.target, None, request.accepted, request.body, form, values)
    assert made.headers == request.headers, "its head has this form"
    return made
