"""Objects of generations that ended without images are deleted, and no others."""

from io import BytesIO

from minio import Minio

from settings import Settings
from tests.integration.api.service import Tenant, unique
from tests.integration.reconcile.conftest import Site
from tests.support.minio_clients import minio_client


def bucket(settings: Settings) -> Minio:
    access_key, secret_key = settings.s3_access_key, settings.s3_secret_key
    return minio_client(
        settings.s3_endpoint,
        access_key.get_secret_value(),
        secret_key.get_secret_value(),
        settings.s3_region,
    )


def keys(settings: Settings, tenant: Tenant) -> list[str]:
    found = bucket(settings).list_objects(settings.s3_bucket, prefix=f"{tenant.id}/", recursive=True)
    return [item.object_name or "" for item in found]


async def test_what_a_cut_storing_left_behind_is_deleted(site: Site, tenant: Tenant) -> None:
    ours = site.service.settings
    whole = await tenant.ended((await tenant.posted(unique("a garden"), n=2))["id"])
    broken = await tenant.ended((await tenant.posted(unique("a desert [sim:wrong_bytes]"), n=2))["id"])
    kept = [f"{tenant.id}/{whole['id']}/{index}" for index in range(2)]
    # As if the worker had died with one of two images stored, before it could record them.
    left = f"{tenant.id}/{broken['id']}/0"
    bucket(ours).put_object(ours.s3_bucket, left, BytesIO(b"half of it"), len(b"half of it"))
    before = keys(ours, tenant)

    repairs = await site.reconcile()

    assert (whole["status"], broken["error"]["code"]) == ("completed", "result_unusable")
    assert sorted(before) == sorted([*kept, left])
    assert repairs == {"orphaned_objects_deleted": 1}
    assert keys(ours, tenant) == kept
    orphaned = "SELECT count(*) FROM generations WHERE id = :id AND objects_deleted_at IS NULL"
    assert await site.service.count(orphaned, id=broken["id"]) == 0
    assert await site.reconcile() == {}
