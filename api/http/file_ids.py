"""The id of a file in a path."""

from typing import Annotated

from fastapi import Depends

from api.http.declarations import declares
from domain.errors import FileNotFound
from domain.input_files import FILE_ID


@declares(FileNotFound)
async def _file_id(file_id: str) -> str:
    if not FILE_ID.fullmatch(file_id):
        raise FileNotFound
    return file_id


FileId = Annotated[str, Depends(_file_id)]
