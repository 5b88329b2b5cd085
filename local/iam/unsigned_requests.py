"""What users ask Cognito for: requests without a signature."""

import re

_UNSIGNED = {
    "ChangePassword", "ConfirmForgotPassword", "ConfirmSignUp", "DeleteUser", "ForgotPassword",
    "GetUser", "GetTokensFromRefreshToken", "GlobalSignOut", "InitiateAuth",
    "ResendConfirmationCode", "RespondToAuthChallenge", "RevokeToken", "SignUp",
    "UpdateUserAttributes",
}  # fmt: skip
"""The operations of Cognito's user pools that users call, without credentials, and moto has:
https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-public-server-side.html
"""


# The documents that those who verify tokens fetch:
# https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
_DOCUMENT = re.compile(r"/[^/]+/\.well-known/(jwks\.json|openid-configuration)")
_ISSUER = re.compile(r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com")


def is_for_users(target: str | None, host: str | None, path: str) -> bool:
    """Return whether a request needs no signature: it is a user's, or for an issuer's document.

    Args:
        target: The header `X-Amz-Target`.
        host: The header `Host`.
        path: The path.

    """
    return _is_unsigned_operation(target) or is_issuer_document(host, path)


def is_issuer_document(host: str | None, path: str) -> bool:
    """Return whether a request is for the keys, or the configuration, of an issuer."""
    is_issuer = _ISSUER.fullmatch(host or "") is not None
    return is_issuer and _DOCUMENT.fullmatch(path) is not None


def _is_unsigned_operation(target: str | None) -> bool:
    service, _, operation = (target or "").partition(".")
    return service == "AWSCognitoIdentityProviderService" and operation in _UNSIGNED
