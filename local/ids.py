"""Ids that AWS chooses at random, and that are digests of names here.

So the template, which is read before anything is created, and the embedded AWS, which creates it,
have the same ids, in each run.
"""

import hashlib


def user_pool_id(region: str, name: str) -> str:
    """Return the id of a user pool of Cognito: the region, `_` and nine letters and digits."""
    return f"{region}_{_digest(name)[:9]}"


def user_pool_client_id(pool_id: str, name: str) -> str:
    """Return the id of an app client of a user pool: 26 letters and digits."""
    return _digest(f"{pool_id}/{name}")[:26]


def secret_arn(region: str, account_id: str, name: str) -> str:
    """Return the ARN of a secret, which ends in `-` and six letters."""
    return f"arn:aws:secretsmanager:{region}:{account_id}:secret:{name}-{secret_suffix(name)}"


def secret_suffix(name: str) -> str:
    """Return the six letters at the end of a secret's ARN."""
    return _digest(name)[:6].translate(str.maketrans("0123456789", "ghijklmnop"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
