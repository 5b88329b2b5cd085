"""Return the permissions that a request to S3 needs.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

import html
import re
from urllib.parse import unquote

from local.iam.call import Call
from local.iam.policies import Permission

# The permission for a request with this method and this part in the query.
_OF_OBJECTS = {
    ("GET", "acl"): "GetObjectAcl",
    ("GET", "attributes"): "GetObjectAttributes",
    ("GET", "legal-hold"): "GetObjectLegalHold",
    ("GET", "retention"): "GetObjectRetention",
    ("GET", "tagging"): "GetObjectTagging",
    ("GET", "uploadId"): "ListMultipartUploadParts",
    ("PUT", "acl"): "PutObjectAcl",
    ("PUT", "legal-hold"): "PutObjectLegalHold",
    ("PUT", "retention"): "PutObjectRetention",
    ("PUT", "tagging"): "PutObjectTagging",
    ("POST", "restore"): "RestoreObject",
    ("POST", "select"): "GetObject",
    ("DELETE", "tagging"): "DeleteObjectTagging",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", "versionId"): "DeleteObjectVersion",
}
_OF_OBJECTS_ELSE = {
    "GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject",
    "DELETE": "DeleteObject",
}  # fmt: skip
# Of buckets only what functions call; who may configure one is not checked.
_OF_BUCKETS = {
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "versions"): "ListBucketVersions",
}
_LISTING = {
    "continuation-token", "delimiter", "encoding-type", "fetch-owner", "list-type", "marker",
    "max-keys", "prefix", "start-after",
}  # fmt: skip
# What a header of a PUT needs in addition.
_OF_HEADERS = {
    "x-amz-acl": "PutObjectAcl",
    "x-amz-grant-read": "PutObjectAcl",
    "x-amz-object-lock-legal-hold": "PutObjectLegalHold",
    "x-amz-object-lock-mode": "PutObjectRetention",
    "x-amz-tagging": "PutObjectTagging",
}


def s3_permissions(call: Call) -> list[Permission]:
    """Return the permissions that a request needs, all of them."""
    bucket, key = _bucket_and_key(call)
    if not bucket:
        return [Permission("s3:ListAllMyBuckets", "*")]
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        return _of_bucket(call, arn)
    actions = [_of_object(call)]
    if call.method == "PUT" and actions == ["PutObject"]:
        actions += [_OF_HEADERS[name] for name in call.headers if name in _OF_HEADERS]
    permissions = [Permission(f"s3:{action}", f"{arn}/{key}") for action in actions if action]
    source = call.headers.get("x-amz-copy-source")
    if source and call.method == "PUT":
        copied = unquote(source).partition("?")[0].removeprefix("/")
        permissions.append(Permission("s3:GetObject", f"arn:aws:s3:::{copied}"))
    return permissions


def bucket_of_read(call: Call) -> str | None:
    """Return the ARN of the bucket if the call reads an object; otherwise `None`."""
    if call.service == "s3" and call.method in {"GET", "HEAD"}:
        bucket, key = _bucket_and_key(call)
        if key and _of_object(call) in {"GetObject", "GetObjectVersion"}:
            return f"arn:aws:s3:::{bucket}"
    return None


def _bucket_and_key(call: Call) -> tuple[str, str]:
    in_host = re.match(r"(.+?)\.(?:s3[.-]|localhost(?::|$))", call.host)
    path = call.path.removeprefix("/")
    if in_host:
        return in_host[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


def _of_object(call: Call) -> str:
    for (method, part), action in _OF_OBJECTS.items():
        if call.method == method and part in call.query:
            return action
    if "versionId" in call.query and call.method in {"GET", "HEAD"}:
        return "GetObjectVersion"
    return _OF_OBJECTS_ELSE.get(call.method, "")


def _of_bucket(call: Call, arn: str) -> list[Permission]:
    if call.method == "POST" and "delete" in call.query:
        keys = re.findall(r"<Key>(.*?)</Key>", call.body.decode(errors="replace"), re.DOTALL)
        return [Permission("s3:DeleteObject", f"{arn}/{html.unescape(key)}") for key in keys]
    for (method, part), action in _OF_BUCKETS.items():
        if call.method == method and part in call.query:
            return [Permission(f"s3:{action}", arn)]
    parts = {name for name in call.query if not name.lower().startswith("x-")}
    if call.method == "HEAD" or (call.method == "GET" and parts <= _LISTING):
        return [Permission("s3:ListBucket", arn)]
    if not parts and call.method in {"PUT", "DELETE"}:
        action = "CreateBucket" if call.method == "PUT" else "DeleteBucket"
        return [Permission(f"s3:{action}", arn)]
    return []
