"""Image bytes: downloaded under guard, inspected, stored in S3-compatible storage."""
