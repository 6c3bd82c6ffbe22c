"""The HTTP client and the S3 client. Nothing else in the service imports httpx or minio."""
