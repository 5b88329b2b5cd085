"""The CORS rules of a bucket: what S3 answers to preflights, and which headers its answers get.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from local.storage.refusals import Refusal
from local.storage.s3_request import S3Request

type Headers = list[tuple[str, str]]

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class CorsRule:
    """A rule; origins and headers may have one `*` each."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: str | None = None

    def matches(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """Return whether the rule allows this origin, method, and these headers in lower case."""
        return (
            method in self.methods
            and any(_fits(pattern, origin) for pattern in self.origins)
            and all(
                any(_fits(pattern.lower(), name) for pattern in self.headers) for name in headers
            )
        )


def preflight_headers(rules: Iterable[CorsRule], request: S3Request) -> Headers:
    """Return the headers of the answer to an OPTIONS request.

    Raises:
        Refusal: If no rule allows the request that it asks about.

    """
    origin = request.header("origin")
    if origin is None:
        message = "Insufficient information. Origin request header needed."
        raise Refusal(400, "BadRequest", message)
    method = request.header("access-control-request-method")
    if not method:
        raise Refusal(400, "BadRequest", "Invalid Access-Control-Request-Method: null")
    wanted = request.header("access-control-request-headers") or ""
    names = [name.strip().lower() for name in wanted.split(",") if name.strip()]
    rules = list(rules)
    for rule in rules:
        if rule.matches(origin, method, names):
            allowed = [("Access-Control-Allow-Headers", ", ".join(names))] if names else []
            return _headers(rule, origin) + allowed
    reason = (
        "This CORS request is not allowed. This is usually because the evalution of Origin, request"
        " method / Access-Control-Request-Method or Access-Control-Request-Headers are not"
        " whitelisted by the resource's CORS spec."
        if rules
        else "CORS is not enabled for this bucket."
    )
    raise Refusal(403, "AccessForbidden", f"CORSResponse: {reason}")


def answer_headers(rules: Iterable[CorsRule], request: S3Request) -> Headers:
    """Return the headers that let the page of a request read the answer; none if no rule does."""
    origin = request.header("origin")
    if origin is None:
        return []
    for rule in rules:
        if rule.matches(origin, request.method):
            return _headers(rule, origin)
    return []


def _headers(rule: CorsRule, origin: str) -> Headers:
    headers = [("Access-Control-Allow-Origin", "*" if "*" in rule.origins else origin)]
    if "*" not in rule.origins:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    headers.append(("Access-Control-Allow-Methods", ", ".join(rule.methods)))
    if rule.exposed:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age_s:
        headers.append(("Access-Control-Max-Age", rule.max_age_s))
    return [*headers, ("Vary", _VARY)]


def _fits(pattern: str, text: str) -> bool:
    parts = map(re.escape, pattern.split("*", 1))
    return re.fullmatch(".*".join(parts), text) is not None
