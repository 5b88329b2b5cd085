"""Close the connections of a user."""

from contextlib import suppress

from personal_data.deployment import Deployment
from personal_data.rows import Row, Rows


class UserConnections:
    """The connections that a user's row lists.

    Those that are gone already are removed from the tables too, because nothing else may do it
    before their `ttl`.
    """

    def __init__(self, deployment: Deployment, rows: Rows, user_id: str) -> None:
        self._api = deployment.management_api
        self._dynamodb = deployment.dynamodb
        self._table = deployment.names.connections_table
        rows_of_user = [row for page in rows.connections(user_id) for row in page.rows]
        self._lists = [row for row in rows_of_user if "userId" not in row]
        self.ids = [name for row in self._lists for name, value in row.items() if "M" in value]

    def close(self) -> None:
        """Close them all, each before its rows are removed."""
        for connection_id in self.ids:
            with suppress(self._api.exceptions.GoneException):
                self._api.delete_connection(ConnectionId=connection_id)
            self._dynamodb.delete_item(
                TableName=self._table, Key={"connectionId": {"S": connection_id}}
            )
            for row in self._lists:
                self._remove_from(row, connection_id)

    def _remove_from(self, row: Row, connection_id: str) -> None:
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"connectionId": row["connectionId"]},
                UpdateExpression="REMOVE #id",
                # An update makes a row that is not there, and this one would never expire.
                ConditionExpression="attribute_exists(connectionId)",
                ExpressionAttributeNames={"#id": connection_id},
            )
