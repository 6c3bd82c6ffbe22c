"""MinIO's root account, for the one step that makes the account of the service."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from adapters.transport.errors import S3Error
from adapters.transport.s3 import S3Admin, S3Client
from domain.errors import StorageUnavailable

_ON_OBJECTS = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
T = TypeVar("T")


class MinioRoot:
    """Makes a bucket, and an account that may get, put and delete its objects and nothing else."""

    def __init__(self, client: S3Client, admin: S3Admin, executor: Executor, *, bucket: str) -> None:
        self._client = client
        self._admin = admin
        self._executor = executor
        self._bucket = bucket

    async def limit_account(self, access_key: str, secret_key: str) -> None:
        """Make the bucket and the account, or give the account this secret and only these rights.

        Raises StorageUnavailable if the store is away, refuses the root account, or is not MinIO.
        """
        await self._call(lambda: self._limit_account(access_key, secret_key))

    def _limit_account(self, access_key: str, secret_key: str) -> None:
        if not self._client.bucket_exists():
            self._client.make_bucket()
        policy = f"{self._bucket}-objects"
        self._admin.put_policy(policy, objects_policy(self._bucket))
        self._admin.put_account(access_key, secret_key)
        # Replaces what the account had, where attaching would add to it and fail on a repeat.
        self._admin.set_policy(policy, access_key)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except S3Error as error:
            raise StorageUnavailable(f"s3 root account: {error.code}") from error


def objects_policy(bucket: str) -> dict[str, Any]:
    """Return a policy without rights on the bucket itself: nothing lists it."""
    statement = {"Effect": "Allow", "Action": list(_ON_OBJECTS), "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}
