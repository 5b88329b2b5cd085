"""Errors that the browser reports while a test runs."""

from dataclasses import dataclass, field

from playwright.async_api import ConsoleMessage


@dataclass
class BrowserErrors:
    """Errors and warnings of the browser: of scripts, of the page's policy, of failed requests.

    Attributes:
        expected: Parts of the errors that the test causes.
    """

    expected: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)

    def record(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.recorded.append(message.text)

    @property
    def unexpected(self) -> list[str]:
        return [each for each in self.recorded if not any(part in each for part in self.expected)]
