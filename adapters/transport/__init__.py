"""The clients of other people's: HTTP in one module, S3 in one. Nothing else imports httpx or minio."""
