"""Images of a synchronous response, in a column that the version before reads and has written."""

from adapters.database.tables.mapping import result_to_json, stored_images
from domain.generation import Image
from domain.provider import JobStatus, ProviderResult

IMAGES = (
    Image(0, "key/0", 96, 64, "image/png", 100, "ab" * 32, "cd" * 32),
    Image(2, "key/2", 96, 64, "image/png", 100, "ab" * 32),
)
RESULT = ProviderResult(JobStatus.SUCCEEDED)
FIELDS_BEFORE = {"index", "key", "width", "height", "content_type", "size_bytes", "sha256"}


def test_images_are_read_as_they_were_written() -> None:
    assert stored_images(result_to_json(RESULT, IMAGES)) == IMAGES


def test_what_the_version_before_has_written_is_read() -> None:
    written = result_to_json(RESULT, IMAGES)
    del written["sources"]

    assert [(image.index, image.source_sha256) for image in stored_images(written)] == [(0, None), (2, None)]


def test_the_version_before_reads_what_is_written() -> None:
    """Keep its fields: it accepts no other."""
    assert [set(image) for image in result_to_json(RESULT, IMAGES)["images"]] == [FIELDS_BEFORE] * 2


def test_without_a_success_there_are_no_images() -> None:
    failed = result_to_json(ProviderResult(JobStatus.FAILED), IMAGES)
    assert (stored_images(None), stored_images(failed)) == ((), ())
