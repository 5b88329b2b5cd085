"""Evaluate mapping templates: the part of the Velocity Template Language that templates use most.

References to `$context`, `$input`, `$util` and `$stageVariables`, and `#set`; no `#if`, no
`#foreach`. Rules:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
"""

import base64
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from local.gateway.selection import find_value

_DIRECTIVE = re.compile(r"#(?!set\b)(if|else|elseif|end|foreach|macro|parse|include|stop|break)\b")
_ROOT = re.compile(r"\$!?(\{?)([A-Za-z_]\w*)")
_SET = re.compile(r"#set\s*\(\s*\$(\w+)\s*=\s*")
_STEP = re.compile(r"\.([A-Za-z_]\w*)(\(?)")
_SPACE = re.compile(r"[\s,]*")
_OPERATOR = re.compile(r"\s*([-+*/%])\s*")
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "%": operator.mod, "*": operator.mul, "+": operator.add, "-": operator.sub,
    "/": operator.floordiv,
}  # fmt: skip
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class WrongTemplateError(ValueError):
    """A mapping template cannot be evaluated here."""


def render(template: str, body: str, event: Mapping[str, Any]) -> str:
    """Return the text of a template.

    Args:
        template: The template.
        body: The text behind `$input`.
        event: The event that a proxy integration would get: its `requestContext` is `$context`.

    Raises:
        WrongTemplateError: If it uses more than this module knows.

    """
    directive = _DIRECTIVE.search(template)
    if directive:
        raise WrongTemplateError(f"{directive[0]} is not imitated")
    return _Renderer(body, event).text(template)


def find_path(body: str, path: str) -> Any:
    """Return the value at a JSONPath in a text of JSON; `None` if there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return find_value(value, path.removeprefix("$"))


class _Renderer:
    """Evaluates one template. Variables that `#set` makes are in `_objects`."""

    def __init__(self, body: str, event: Mapping[str, Any]) -> None:
        self._body = body
        self._objects: dict[str, Any] = {
            "context": event.get("requestContext") or {},
            "stageVariables": event.get("stageVariables") or {},
        }
        self._parameters = {
            "header": event.get("headers") or {},
            "path": {},
            "querystring": event.get("queryStringParameters") or {},
        }
        self._methods: dict[str, Callable[..., Any]] = {
            "input.json": lambda path: json.dumps(find_path(body, path)),
            "input.params": self._parameter,
            "input.path": lambda path: find_path(body, path),
            "util.base64Decode": lambda text: base64.b64decode(text).decode(),
            "util.base64Encode": lambda text: base64.b64encode(text.encode()).decode(),
            # JSON's escapes, and that of a single quote.
            "util.escapeJavaScript": lambda text: json.dumps(_as_text(text))[1:-1].replace(
                "'", "\\'"
            ),
            "util.parseJson": json.loads,
            "util.urlDecode": unquote_plus,
            "util.urlEncode": lambda text: quote_plus(_as_text(text)),
        }

    def text(self, template: str) -> str:
        """Return the text of a template or of a string in it."""
        parts, position = [], 0
        while position < len(template):
            assignment = _SET.match(template, position)
            if assignment:
                value, position = self._expression(template, assignment.end())
                self._objects[assignment[1]] = value
                position = _skip_space(template, position)
                if not template.startswith(")", position):
                    raise WrongTemplateError(f"{template[assignment.start() : position + 20]!r}")
                position += 1
            elif template[position] == "$":
                value, end = self._reference(template, position)
                # What does not exist stays as it is written.
                parts.append(template[position:end] if value is None else _as_text(value))
                position = end
            else:
                parts.append(template[position])
                position += 1
        return "".join(parts)

    def _reference(self, template: str, start: int) -> tuple[Any, int]:
        """Return the value of a reference, and where it ends."""
        root = _ROOT.match(template, start)
        if root is None:
            return None, start + 1
        name, position = root[2], root.end()
        value = self._objects.get(name)
        path = name
        while step := _STEP.match(template, position):
            path, position = f"{path}.{step[1]}", step.end()
            if step[2]:
                arguments, position = self._arguments(template, position)
                value = self._call(path, value, step[1], arguments)
            elif path == "input.body":
                value = self._body
            else:
                value = value.get(step[1]) if isinstance(value, Mapping) else None
        if root[1] and template.startswith("}", position):
            position += 1
        return value, position

    def _call(self, path: str, value: Any, method: str, arguments: list[Any]) -> Any:
        if path in self._methods:
            return self._methods[path](*arguments)
        if method == "get" and isinstance(value, Mapping):
            return value.get(*arguments)
        if method == "replaceAll" and isinstance(value, str):
            pattern, replacement = arguments
            return re.sub(pattern, lambda _: replacement, value)
        if path.partition(".")[0] in {"input", "util"} or value is not None:
            raise WrongTemplateError(f"${path}() is not imitated")
        return None

    def _parameter(self, name: str | None = None) -> Any:
        """Return all parameters of a handshake, or the one with this name."""
        if name is None:
            return self._parameters
        found = [group[name] for group in self._parameters.values() if name in group]
        return found[0] if found else ""

    def _arguments(self, template: str, position: int) -> tuple[list[Any], int]:
        arguments: list[Any] = []
        while (position := _skip_space(template, position)) < len(template):
            if template[position] == ")":
                return arguments, position + 1
            value, position = self._expression(template, position)
            arguments.append(value)
        raise WrongTemplateError("a parenthesis is not closed")

    def _expression(self, template: str, position: int) -> tuple[Any, int]:
        """Return the value of an expression, and where it ends."""
        value, position = self._operand(template, position)
        while sign := _OPERATOR.match(template, position):
            other, position = self._operand(template, sign.end())
            try:
                value = _OPERATIONS[sign[1]](value, other)
            except (TypeError, ZeroDivisionError) as error:
                raise WrongTemplateError(f"{sign[1]}: {error}") from error
        return value, position

    def _operand(self, template: str, position: int) -> tuple[Any, int]:
        position = _skip_space(template, position)
        quote = template[position : position + 1]
        if quote in {'"', "'"}:
            end = template.find(quote, position + 1)
            if end < 0:
                raise WrongTemplateError("a string is not closed")
            string = template[position + 1 : end]
            return self.text(string) if quote == '"' else string, end + 1
        if quote == "$":
            return self._reference(template, position)
        number = _NUMBER.match(template, position)
        if number is None:
            raise WrongTemplateError(f"{template[position : position + 20]!r} is not imitated")
        return json.loads(number[0]), number.end()


def _skip_space(template: str, position: int) -> int:
    match = _SPACE.match(template, position)
    return match.end() if match else position


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):  # as Java writes a map
        return f"{{{', '.join(f'{name}={_as_text(item)}' for name, item in value.items())}}}"
    return value if isinstance(value, str) else json.dumps(value)
