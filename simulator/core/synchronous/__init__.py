"""What synchronous providers share: no job, only an open connection until the images are ready."""
