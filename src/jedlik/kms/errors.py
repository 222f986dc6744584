"""The errors of AWS KMS that Jedlik returns.

Sources: the service model in botocore; the API reference. What is refused without a text by AWS has one here.
"""

from __future__ import annotations

from jedlik.aws import errors
from jedlik.aws.errors import ServiceError


class AlreadyExistsException(ServiceError):
    """There is an alias, or a key, of this name."""


class DisabledException(ServiceError):
    """The key is disabled."""


class DryRunOperationException(ServiceError):
    """A dry run would have succeeded."""


class ExpiredImportTokenException(ServiceError):
    """The token for an import is past its day."""


class IncorrectKeyException(ServiceError):
    """A ciphertext is of another key than the request names."""


class IncorrectKeyMaterialException(ServiceError):
    """What is imported is not the material that the key had, or has material already."""


class InvalidAliasNameException(ServiceError):
    """No alias can have this name."""


class InvalidArnException(ServiceError):
    """An ARN is malformed, or is not that of such a resource."""


class InvalidCiphertextException(ServiceError):
    """A ciphertext has been changed, or is no ciphertext, or has another encryption context."""


class InvalidGrantIdException(ServiceError):
    """No grant can have this id."""


class InvalidGrantTokenException(ServiceError):
    """This server has not made a grant token."""


class InvalidImportTokenException(ServiceError):
    """The token for an import is not of this key."""


class InvalidKeyUsageException(ServiceError):
    """The key, or the algorithm, is not for this."""


class InvalidMarkerException(ServiceError):
    """No listing has returned the marker."""


class KMSInternalException(ServiceError):
    """A key cannot be used because of a fault of ours."""

    status = 500


class KMSInvalidStateException(ServiceError):
    """The state of the key does not permit this."""


class LimitExceededException(errors.LimitExceededException):
    """A quota is used up."""

    namespace = ""


class MalformedPolicyDocumentException(ServiceError):
    """The document is not a key policy."""


class NotAuthorizedException(ServiceError):
    """The name is reserved."""


class NotFoundException(ServiceError):
    """There is no such key, alias or grant."""


class TagException(ServiceError):
    """A tag is malformed, or there are too many."""


class UnsupportedOperationException(ServiceError):
    """This cannot be done, or not with such a key."""
