"""The files of the page that `--page` serves."""

from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_DATABASE = "database.js"


class PageFiles(StaticFiles):
    """The files of a folder; if it has a `database.js`, that names the database of this run.

    Args:
        folder: The folder.
        database_id: The id of the database; empty if it is not known.

    """

    def __init__(self, folder: Path, database_id: str) -> None:
        super().__init__(directory=folder, html=True)
        self._asks_for_database = (folder / _DATABASE).is_file()
        self._database_id = database_id

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file.

        Raises:
            HTTPException: If there is no such file, or the method is not GET or HEAD.

        """
        response = await super().get_response(path, scope)
        if path != _DATABASE or not self._asks_for_database:
            return response
        # Always the whole text: the file itself, which a browser may know, never changes.
        text = f'export const databaseId = "{self._database_id}";\n'
        return Response(text, media_type="text/javascript")
