"""What a scan of the table of messages costs, and whether it may begin."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from personal_data import terminal
from personal_data.deployment import Deployment
from personal_data.errors import UsageError
from personal_data.rate import Rate

# An eventually consistent read of 4 KB takes half a unit:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
_BYTES_PER_UNIT = 8192
# In us-east-1: https://aws.amazon.com/dynamodb/pricing/on-demand/
_DOLLARS_PER_UNIT = 0.125e-6


@dataclass(frozen=True, slots=True)
class ScanCost:
    """What a scan reads and costs.

    Attributes:
        items: Rows in the table, as DynamoDB counts them about every six hours.
        size: Their bytes.
        units_per_second: The limit on the capacity that is used.
    """

    items: int
    size: int
    units_per_second: float

    @classmethod
    def of(cls, deployment: Deployment, rate: Rate) -> Self:
        """Ask how large the table of messages is."""
        table = deployment.dynamodb.describe_table(TableName=deployment.names.messages_table)
        found = table["Table"]
        return cls(found["ItemCount"], found["TableSizeBytes"], rate.units_per_second)

    @property
    def units(self) -> float:
        """The read units that it uses."""
        return self.size / _BYTES_PER_UNIT

    def __str__(self) -> str:
        duration = timedelta(seconds=round(self.units / self.units_per_second))
        return (
            f"A scan reads the whole table, about {self.items:,} items and {self.size:,} bytes: "
            f"{self.units:,.0f} read units, ${self.units * _DOLLARS_PER_UNIT:.4f}, "
            f"and {duration} at --rate {self.units_per_second:g}."
        )


def may_scan(cost: ScanCost, wanted: bool | None) -> bool:
    """Say what a scan costs; return whether it may begin.

    Args:
        cost: What it costs.
        wanted: What the options say; none where they do not say it.

    Raises:
        UsageError: The options do not say it, and there is no terminal to ask on.
    """
    if wanted is False:
        return False
    without = "Chats in which nobody answered the user are found only by a scan."
    terminal.say(f"{without} {cost}")
    if wanted is None:
        wanted = terminal.ask("Scan?")
    if wanted is None:
        raise UsageError(f"Choose --scan or --no-scan. {without} {cost}")
    return wanted
