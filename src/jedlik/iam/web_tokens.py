"""Web identity tokens: JSON Web Tokens that a registered issuer has signed for one of its clients.

PyJWT checks the signature, by the algorithms that AWS takes. What a token claims becomes condition keys that begin with
its issuer: `example.com:sub`, `example.com:aud`...

Sources: RFC 7519; OpenID Connect Core 1.0; AssumeRoleWithWebIdentity in STS's API reference, whose texts are used;
"Available keys for AWS OIDC federation" and "Passing session tags in AWS STS" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from jedlik.iam.errors import ExpiredTokenException, IDPCommunicationErrorException, InvalidIdentityTokenException
from jedlik.iam.identity_rows import Row
from jedlik.iam.issuer_keys import IssuerKeys, Unreachable, WrongDocument
from jedlik.iam.oidc_providers import SCHEME

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
LEAST_RSA_BITS = 2048
SKEW = 60.0
"""Seconds by which an issuer's clock may be ahead."""
TAGS, SOURCE_IDENTITY = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)


class WebIdentity(NamedTuple):
    """Who a verified token is of."""

    issuer: str
    """Its URL."""
    subject: str
    audience: str
    """The client that the token was made for."""
    claims: dict[str, Any]

    def context(self) -> dict[str, tuple[str, ...]]:
        """The condition keys of the token, which begin with the issuer."""
        name = self.issuer.removeprefix(SCHEME).rstrip("/")
        found = {key: _texts(value) for key, value in self.claims.items() if ":" not in key}
        found["oaud"] = found.pop("aud", ())
        if "azp" not in self.claims:
            found["aud"] = found.pop("oaud")
        else:
            found["aud"] = (self.audience,)
        return {f"{name}:{key}": values for key, values in found.items() if values}

    def session_tags(self) -> tuple[list[dict[str, str]], list[str]]:
        """The tags that the issuer gives to the session, and the keys of those that go on. Raises
        InvalidIdentityTokenException."""
        claim = self.claims.get(TAGS, {})
        tags = claim.get("principal_tags", {}) if isinstance(claim, dict) else None
        keys = claim.get("transitive_tag_keys", []) if isinstance(claim, dict) else None
        if not isinstance(tags, dict) or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InvalidIdentityTokenException(f"The claim {TAGS} is malformed")
        found = []
        for key, values in tags.items():
            if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
                raise InvalidIdentityTokenException(f"The claim {TAGS} is malformed")
            found.append({"Key": key, "Value": values[0]})
        return found, keys

    @property
    def source_identity(self) -> str:
        """The source identity that the issuer gives to the session; empty if it gives none."""
        found = self.claims.get(SOURCE_IDENTITY, "")
        if not isinstance(found, str):
            raise InvalidIdentityTokenException(f"The claim {SOURCE_IDENTITY} is malformed")
        return found


def _texts(value: Any) -> tuple[str, ...]:
    """The values of a condition key, of a claim: texts, numbers and booleans, alone or in a list."""
    match value:
        case bool():
            return (str(value).lower(),)
        case str() | int() | float():
            return (str(value),)
        case list():
            return tuple(text for one in value if not isinstance(one, list) for text in _texts(one))
        case _:
            return ()


Provider = Callable[[str], Row | None]
"""The provider of an issuer, by its URL; None if it is not registered."""


async def verified(token: str, provider: Provider, keys: IssuerKeys, now: float) -> WebIdentity:
    """Who a token is of. Raises InvalidIdentityTokenException, ExpiredTokenException and
    IDPCommunicationErrorException."""
    import jwt  # It takes long, and few servers need it.

    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise InvalidIdentityTokenException(_NO_JWT) from None
    issuer, algorithm, key_id = claims.get("iss"), header.get("alg"), header.get("kid")
    if not isinstance(issuer, str) or not issuer.startswith(SCHEME):
        raise InvalidIdentityTokenException("Issuer must be a valid URL")
    row = provider(issuer)
    if row is None:
        raise InvalidIdentityTokenException(f"No OpenIDConnect provider found in your account for {issuer}")
    if algorithm not in ALGORITHMS or not (key_id is None or isinstance(key_id, str)):
        raise InvalidIdentityTokenException(f"The token must be signed with one of {', '.join(ALGORITHMS)}")
    try:
        found = await keys.of(issuer, key_id)
    except Unreachable as error:
        raise IDPCommunicationErrorException(f"The identity provider {issuer} could not be reached: {error}") from None
    except WrongDocument as error:
        raise InvalidIdentityTokenException(f"{_NO_KEY}: {error}") from None
    if not any(_is_signed(token, key, algorithm) for key in found):
        raise InvalidIdentityTokenException(_NO_KEY if not found else "The token's signature is not its issuer's")
    _check_times(claims, now)
    subject, audience = claims.get("sub"), _audience(claims, row.get("ClientIDList", ()))
    if not isinstance(subject, str) or not subject:
        raise InvalidIdentityTokenException("Missing a required claim: sub")
    return WebIdentity(issuer, subject, audience, claims)


def _is_signed(token: str, key: dict[str, Any], algorithm: str) -> bool:
    """Whether a token is signed with a key."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        made = jwt.PyJWK(key, algorithm=algorithm).key
        if isinstance(made, RSAPublicKey) and made.key_size < LEAST_RSA_BITS:
            return False
        jwt.api_jws.decode(token, made, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise InvalidIdentityTokenException("Missing a required claim: exp")
    if now >= expires:
        raise ExpiredTokenException(
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {int(expires)}"
        )
    for name in ("iat", "nbf"):
        begins = claims.get(name, now)
        if not isinstance(begins, int | float) or begins > now + SKEW:
            raise InvalidIdentityTokenException(f"The token is not valid yet: its {name} is in the future")


def _audience(claims: dict[str, Any], clients: Iterable[str]) -> str:
    """The registered client that a token was made for: the authorized party, if it names one."""
    given = claims.get("azp", claims.get("aud"))
    listed = given if isinstance(given, list) else [given]
    known = set(clients)
    for one in listed:
        if isinstance(one, str) and one in known:
            return one
    raise InvalidIdentityTokenException("Incorrect token audience")
