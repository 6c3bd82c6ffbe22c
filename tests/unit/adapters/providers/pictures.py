"""Input images on disk. No adapter decodes one, so any bytes will do."""

from pathlib import Path

from domain.provider import LocalInputFile


def picture(folder: Path, content: bytes = b"picture", kind: str = "png") -> LocalInputFile:
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    path.write_bytes(content)
    return LocalInputFile(path, f"image/{kind}", 64, 48)
