"""Evaluate mapping templates: the part of the Velocity Template Language that templates use most.

References to `$context`, `$input`, `$util` and `$stageVariables`, and `#set`; no `#if`, no
`#foreach`. Rules:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
"""

import base64
import json
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
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class WrongTemplateError(ValueError):
    """A mapping template cannot be evaluated here."""


def render(
    template: str,
    body: str,
    context: Mapping[str, Any],
    stage_variables: Mapping[str, str],
) -> str:
    """Return the text of a template.

    Args:
        template: The template.
        body: The text behind `$input`.
        context: The values of `$context`.
        stage_variables: The values of `$stageVariables`.

    Raises:
        WrongTemplateError: If it uses more than this module knows.

    """
    directive = _DIRECTIVE.search(template)
    if directive:
        raise WrongTemplateError(f"{directive[0]} is not imitated")
    objects = {"context": context, "stageVariables": stage_variables}
    return _Renderer(body, objects).text(template)


def find_path(body: str, path: str) -> Any:
    """Return the value at a JSONPath in a text of JSON; `None` if there is none."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return find_value(value, path.removeprefix("$"))


class _Renderer:
    """Evaluates one template. Variables that `#set` makes are in `_objects`."""

    def __init__(self, body: str, objects: Mapping[str, Any]) -> None:
        self._body = body
        self._objects = dict(objects)
        self._methods: dict[str, Callable[..., Any]] = {
            "input.json": lambda path: json.dumps(find_path(body, path)),
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
                position = template.find(")", position) + 1 or len(template)
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
        if method == "replaceAll" and isinstance(value, str):
            pattern, replacement = arguments
            return re.sub(pattern, lambda _: replacement, value)
        if path.partition(".")[0] in {"input", "util"} or value is not None:
            raise WrongTemplateError(f"${path}() is not imitated")
        return None

    def _arguments(self, template: str, position: int) -> tuple[list[Any], int]:
        arguments: list[Any] = []
        while (position := _skip_space(template, position)) < len(template):
            if template[position] == ")":
                return arguments, position + 1
            value, position = self._expression(template, position)
            arguments.append(value)
        raise WrongTemplateError("a parenthesis is not closed")

    def _expression(self, template: str, position: int) -> tuple[Any, int]:
        position = _skip_space(template, position)
        sign = template[position : position + 1]
        if sign in {'"', "'"}:
            end = template.find(sign, position + 1)
            if end < 0:
                raise WrongTemplateError("a string is not closed")
            string = template[position + 1 : end]
            return self.text(string) if sign == '"' else string, end + 1
        if sign == "$":
            return self._reference(template, position)
        number = _NUMBER.match(template, position)
        if number is None:
            raise WrongTemplateError(f"{template[position : position + 20]!r} is not imitated")
        return json.loads(number[0]), number.end()


def _skip_space(template: str, position: int) -> int:
    match = _SPACE.match(template, position)
    return match.end() if match else position


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
